//! Weight gradients of any shape, with operands next to inaccessible pages.

use proptest::prelude::*;

use super::*;
use crate::kernels::matrix::Mat;
use crate::kernels::reference;
use crate::kernels::testing::{
    Edge, Guarded, Operand, Placement, at_page_edge, canary, edge, numbers, placement, size,
};

#[derive(Clone, Debug)]
struct Case {
    step_rows: Vec<usize>,
    inputs: usize,
    /// The inputs that are rows of `dw`.
    units: Range<usize>,
    columns: RowLayout,
    /// Panels between the groups of `x` and of `dy`.
    skipped: usize,
    x: Placement,
    dy: Placement,
    dw: Placement,
    scratch: [Edge; 3],
}

fn case() -> impl Strategy<Value = Case> {
    let columns = (1usize..6, size(50)).prop_map(|(parts, width)| RowLayout { parts, width });
    let units = prop_oneof![Just((0, 100)), (0usize..60, 60usize..=100)];
    let shape = (prop::collection::vec(size(70), 0..5), size(140), units, columns, 0usize..3);
    let placements = (placement(), placement(), placement(), prop::array::uniform3(edge()));
    (shape, placements).prop_map(|((step_rows, inputs, units, columns, skipped), (x, dy, dw, scratch))| {
        let units = inputs * units.0 / 100..inputs * units.1 / 100;
        Case { step_rows, inputs, units, columns, skipped, x, dy, dw, scratch }
    })
}

impl Case {
    fn factors<R: Real>(&self) -> (Vec<R>, Vec<R>) {
        let rows: usize = self.step_rows.iter().sum();
        (numbers(rows * self.inputs, 0.1), numbers(rows * self.columns.elements(), 0.2))
    }

    fn expected(&self) -> Vec<f64> {
        let (m, n) = (self.step_rows.iter().sum(), self.columns.elements());
        let (x, dy) = self.factors::<f64>();
        let mut expected = vec![0.0; self.inputs * n];
        let (x, dy) = (Mat::new(&x, m, self.inputs), Mat::new(&dy, m, n));
        reference::gemm(MatMut::new(&mut expected, self.inputs, n), false, x.t(), dy);
        expected[self.units.start * n..self.units.end * n].to_vec()
    }

    fn operands<R: Real>(&self, at: Placement, layout: RowLayout, panel_width: usize, rows: &[R]) -> Vec<Operand<R>> {
        let mut rest = rows;
        let step = |n: &usize| {
            let rows = rest.split_off(..n * layout.elements()).unwrap();
            Operand::new(at, (layout, panel_width), (1, *n), (self.skipped, 0), rows)
        };
        self.step_rows.iter().map(step).collect()
    }

    fn check<R: Real>(&self, isa: Isa, expected: &[f64], epsilon: f64) -> Result<(), TestCaseError> {
        let panel_width = R::panel_width(isa);
        let (x, dy) = self.factors::<R>();
        let x = self.operands(self.x, RowLayout::single(self.inputs), panel_width, &x);
        let dy = self.operands(self.dy, self.columns, panel_width, &dy);
        let steps = x.iter().zip(&dy).map(|(x, dy)| (x.view(), dy.view()));
        // No larger than panels of this width need.
        let buffer = |edge, rows: usize| at_page_edge(edge, &vec![canary::<R>(); rows * panel_width]);
        let mut x_copy = buffer(self.scratch[0], X_PANELS * DEPTH);
        let mut dy_copy = buffer(self.scratch[1], DEPTH);
        let mut sums = buffer(self.scratch[2], X_PANELS * DY_PANELS * panel_width);
        let scratch = Scratch { x: &mut x_copy, dy: &mut dy_copy, sums: &mut sums };
        let mut dw = Guarded::new(self.dw, &vec![canary(); expected.len()]);
        let into = MatMut::new(&mut dw, self.units.len(), self.columns.elements());
        weight_gradient_on(isa, scratch, into, self.units.clone(), self.columns, steps);
        prop_assert!(dw.is_intact(), "{isa:?}: written outside the gradient");
        let bound = epsilon * (self.step_rows.iter().sum::<usize>() + 1) as f64;
        for (got, expected) in dw.iter().zip(expected) {
            prop_assert!((got.to_f64() - expected).abs() <= bound, "{isa:?}: {got:?} against {expected}");
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn matches_the_reference_and_stays_within_its_operands(case in case()) {
        let expected = case.expected();
        for isa in Isa::available() {
            case.check::<f32>(isa, &expected, 1e-5)?;
            case.check::<f64>(isa, &expected, 1e-13)?;
        }
    }
}
