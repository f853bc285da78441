//! Products of any shape, their operands between pages that nobody may touch.

use proptest::prelude::*;

use super::*;
use crate::kernels::blocked::PanelBuffer;
use crate::kernels::guarded::{Edge, Guarded, Place, are_canaries, beside, canary, edge, place, size};
use crate::kernels::reference;
use crate::kernels::testing::{Operand, reals, spaced};
use crate::kernels::view::MatMut;

/// What the sums begin with.
#[derive(Clone, Copy, Debug)]
enum From {
    Zero,
    Output,
    Bias,
    Table,
}

/// A product, and how its operands lie.
#[derive(Clone, Copy, Debug)]
struct Case {
    steps: usize,
    rows: usize,
    input: RowLayout,
    output: RowLayout,
    /// How much of the output's panels is computed, in hundredths.
    panels: (usize, usize),
    from: From,
    transposed: bool,
    /// Panels between the blocks of `x`.
    others: usize,
    /// Elements between the steps of `x`, those of `y` and the rows of the weights.
    gaps: [usize; 3],
    x: Place,
    y: Place,
    /// The weights before they are packed.
    matrix: Place,
    slots: Place,
    weights: Edge,
    /// What the sums begin with.
    start: Edge,
}

/// Rows of the table.
const TABLE: usize = 3;

fn case() -> impl Strategy<Value = Case> {
    let row_layout = |most| (1usize..5, size(most)).prop_map(|(parts, width)| RowLayout { parts, width });
    let from = prop_oneof![Just(From::Zero), Just(From::Output), Just(From::Bias), Just(From::Table)];
    let panels = prop_oneof![Just((0, 100)), (0usize..60, 60usize..=100)];
    let gaps = prop::array::uniform3(prop_oneof![Just(0), 0usize..40]);
    let shape = (0usize..3, size(20), row_layout(150), row_layout(70), panels);
    let places = (place(), place(), place(), place(), edge(), edge());
    (shape, from, any::<bool>(), 0usize..3, gaps, places).prop_map(|(shape, from, transposed, others, gaps, places)| {
        let (steps, rows, input, output, panels) = shape;
        let (x, y, matrix, slots, weights, start) = places;
        Case { steps, rows, input, output, panels, from, transposed, others, gaps, x, y, matrix, slots, weights, start }
    })
}

impl Case {
    /// `x`, and the weights row by row.
    fn factors<R: Real>(&self) -> (Vec<R>, Vec<R>) {
        let (k, n) = (self.input.elements(), self.output.elements());
        (reals(self.steps * self.rows * k, 0.1), reals(k * n, 0.2))
    }

    /// How many rows there are that sums may begin with, the rows, and which each row of the output begins with.
    fn beginnings<R: Real>(&self) -> (usize, Vec<R>, Vec<u32>) {
        let (n, m) = (self.output.elements(), self.steps * self.rows);
        let (rows, slots): (_, Vec<usize>) = match self.from {
            From::Zero => return (1, vec![R::ZERO; n], vec![0; m]),
            From::Output => (m, (0..m).collect()),
            From::Bias => (1, vec![0; m]),
            From::Table => (TABLE, (0..m).map(|i| i * i % TABLE).collect()),
        };
        (rows, reals(rows * n, 0.3), slots.into_iter().map(|slot| slot as u32).collect())
    }

    /// The product by the reference.
    fn wanted(&self) -> Vec<f64> {
        let (m, k, n) = (self.steps * self.rows, self.input.elements(), self.output.elements());
        let (x, w) = self.factors::<f64>();
        let (_, rows, slots) = self.beginnings::<f64>();
        let mut wanted: Vec<_> = slots.iter().flat_map(|slot| &rows[*slot as usize * n..][..n]).copied().collect();
        reference::gemm(MatMut::new(&mut wanted, m, n), true, Mat::new(&x, m, k), Mat::new(&w, k, n));
        wanted
    }

    fn pack<R: Real>(&self, isa: Isa, weights: &[R]) -> PackedMatrix<R> {
        let (k, n) = (self.input.elements(), self.output.elements());
        let mut packed = PackedMatrix::for_isa(isa, self.input, self.output);
        if self.transposed {
            let columns: Vec<R> = (0..n).flat_map(|j| (0..k).map(move |i| weights[i * n + j])).collect();
            let matrix = Guarded::new(self.matrix, &spaced(&columns, k, k + self.gaps[2]));
            packed.pack(Mat::strided(&matrix, n, k, k + self.gaps[2]).t());
        } else {
            let matrix = Guarded::new(self.matrix, &spaced(weights, n, n + self.gaps[2]));
            packed.pack(Mat::strided(&matrix, k, n, n + self.gaps[2]));
        }
        packed.values = beside(self.weights, &packed.values);
        packed
    }

    /// Everything in guarded memory, multiplied and compared.
    fn check<R: Real>(&self, isa: Isa, wanted: &[f64], epsilon: f64) -> Result<(), TestCaseError> {
        let Case { steps, rows, input, output, .. } = *self;
        let (x, w) = self.factors::<R>();
        let packed = self.pack(isa, &w);
        let panel_width = packed.panel_width;
        let x = Operand::new(self.x, (input, panel_width), (steps, rows), (self.others, self.gaps[0]), &x);
        let (of_table, beginnings, slots) = self.beginnings::<R>();
        let slots = Guarded::new(self.slots, &slots);
        let mut table = PanelBuffer::for_isa(isa, output, 1, of_table);
        for (i, row) in beginnings.chunks_exact(output.elements().max(1)).enumerate() {
            table.write(0, i, row);
        }
        let table = table.beside(self.start);
        let start = match self.from {
            From::Zero => AccumulatorInit::Zero,
            From::Output => AccumulatorInit::Output,
            From::Bias => AccumulatorInit::Bias(&table),
            From::Table => AccumulatorInit::Table { rows: &table, slots: &slots },
        };
        let all = packed.panels();
        let panels = all * self.panels.0 / 100..all * self.panels.1 / 100;
        let (of_step, n) = (panels.len() * rows * panel_width, output.elements());
        let stride = of_step + self.gaps[1];
        // Every row of every panel: its number step by step, its place in `y`, its elements.
        let places = (0..steps * rows).flat_map(|i| {
            let at = move |p: usize| i / rows * stride + (p * rows + i % rows) * panel_width;
            panels.clone().enumerate().map(move |(p, panel)| (i, at(p), output.panel_columns(panel_width, panel)))
        });
        let len = if of_step == 0 { 0 } else { steps.saturating_sub(1) * stride + of_step.min(steps * of_step) };
        let mut before = vec![canary(); len];
        if let From::Output = self.from {
            for (i, at, elements) in places.clone() {
                before[at..][..panel_width].fill(R::ZERO);
                before[at..][..elements.len()].copy_from_slice(&beginnings[i * n..][..n][elements]);
            }
        }
        let mut y = Guarded::new(self.y, &before);
        packed.multiply(panels.clone(), &mut y, stride, x.rows(), start);
        prop_assert!(y.is_intact(), "{isa:?}: written beside the output");
        for (i, at, elements) in places {
            let (got, padding) = y[at..][..panel_width].split_at_mut(elements.len());
            for (got, wanted) in got.iter().zip(&wanted[i * n..][..n][elements]) {
                let off = (got.to_f64() - wanted).abs();
                prop_assert!(off <= epsilon * (input.elements() + 1) as f64, "{isa:?}: {got:?} against {wanted}");
            }
            prop_assert!(padding.iter().all(|x| *x == R::ZERO), "{isa:?}: {padding:?} behind a row");
            y[at..][..panel_width].fill(canary());
        }
        prop_assert!(are_canaries(&y), "{isa:?}: written between the steps");
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
