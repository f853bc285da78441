//! Weight gradients of any shape, their operands between pages that nobody may touch.

use proptest::prelude::*;

use super::*;
use crate::kernels::guarded::{Edge, Guarded, Place, beside, canary, edge, place, size};
use crate::kernels::reference;
use crate::kernels::testing::{Operand, reals};
use crate::kernels::view::Mat;

/// A weight gradient, and how its operands lie.
#[derive(Clone, Debug)]
struct Case {
    /// Rows of each piece.
    pieces: Vec<usize>,
    /// Elements of a row of `x`.
    width: usize,
    /// Those that are rows of `dw`.
    units: Range<usize>,
    columns: RowLayout,
    /// Panels between the blocks of `x` and of `dy`.
    others: usize,
    x: Place,
    dy: Place,
    dw: Place,
    room: [Edge; 3],
}

fn case() -> impl Strategy<Value = Case> {
    let columns = (1usize..6, size(50)).prop_map(|(parts, width)| RowLayout { parts, width });
    let units = prop_oneof![Just((0, 100)), (0usize..60, 60usize..=100)];
    let shape = (prop::collection::vec(size(70), 0..5), size(140), units, columns, 0usize..3);
    let places = (place(), place(), place(), prop::array::uniform3(edge()));
    (shape, places).prop_map(|((pieces, width, units, columns, others), (x, dy, dw, room))| {
        let units = width * units.0 / 100..width * units.1 / 100;
        Case { pieces, width, units, columns, others, x, dy, dw, room }
    })
}

impl Case {
    /// All rows of `x` and `dy`.
    fn factors<R: Real>(&self) -> (Vec<R>, Vec<R>) {
        let rows: usize = self.pieces.iter().sum();
        (reals(rows * self.width, 0.1), reals(rows * self.columns.elements(), 0.2))
    }

    /// The gradient by the reference.
    fn wanted(&self) -> Vec<f64> {
        let (m, n) = (self.pieces.iter().sum(), self.columns.elements());
        let (x, dy) = self.factors::<f64>();
        let mut wanted = vec![0.0; self.width * n];
        let (x, dy) = (Mat::new(&x, m, self.width), Mat::new(&dy, m, n));
        reference::gemm(MatMut::new(&mut wanted, self.width, n), false, x.t(), dy);
        wanted[self.units.start * n..self.units.end * n].to_vec()
    }

    /// The pieces of rows in guarded memory.
    fn operands<R: Real>(
        &self,
        place: Place,
        row_layout: RowLayout,
        panel_width: usize,
        rows: &[R],
    ) -> Vec<Operand<R>> {
        let (mut rest, width) = (rows, row_layout.elements());
        let piece = |n: &usize| {
            let rows = rest.split_off(..n * width).unwrap();
            Operand::new(place, (row_layout, panel_width), (1, *n), (self.others, 0), rows)
        };
        self.pieces.iter().map(piece).collect()
    }

    /// Everything in guarded memory, multiplied and compared.
    fn check<R: Real>(&self, isa: Isa, wanted: &[f64], epsilon: f64) -> Result<(), TestCaseError> {
        let panel_width = R::panel_width(isa);
        let (x, dy) = self.factors::<R>();
        let x = self.operands(self.x, RowLayout::single(self.width), panel_width, &x);
        let dy = self.operands(self.dy, self.columns, panel_width, &dy);
        let steps = x.iter().zip(&dy).map(|(x, dy)| (x.rows(), dy.rows()));
        // As much room as there must be for panels of so many lanes.
        let room = |edge, rows: usize| beside(edge, &vec![canary::<R>(); rows * panel_width]);
        let mut copies = [room(self.room[0], X_PANELS * DEPTH), room(self.room[1], DEPTH)];
        let mut sums = room(self.room[2], X_PANELS * DY_PANELS * panel_width);
        let [of_x, of_dy] = &mut copies;
        let room = Room { x: of_x, dy: of_dy, sums: &mut sums };
        let mut dw = Guarded::new(self.dw, &vec![canary(); wanted.len()]);
        let into = MatMut::new(&mut dw, self.units.len(), self.columns.elements());
        product(isa, room, into, self.units.clone(), self.columns, steps);
        prop_assert!(dw.is_intact(), "{isa:?}: written beside the gradient");
        let bound = epsilon * (self.pieces.iter().sum::<usize>() + 1) as f64;
        for (got, wanted) in dw.iter().zip(wanted) {
            prop_assert!((got.to_f64() - wanted).abs() <= bound, "{isa:?}: {got:?} against {wanted}");
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn every_path_agrees_with_the_reference_and_stays_within_its_operands(case in case()) {
        let wanted = case.wanted();
        for isa in Isa::available() {
            case.check::<f32>(isa, &wanted, 1e-5)?;
        }
        case.check::<f64>(Isa::Portable, &wanted, 1e-13)?;
    }
}
