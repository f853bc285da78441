//! Packed products of any shape, with operands next to inaccessible pages.

use proptest::prelude::*;

use super::*;
use crate::kernels::matrix::MatMut;
use crate::kernels::panel_buffer::PanelBuffer;
use crate::kernels::reference;
use crate::kernels::testing::{
    Edge, Guarded, Operand, Placement, are_canaries, at_page_edge, canary, edge, numbers, placement, size, spaced,
};

#[derive(Clone, Copy, Debug)]
enum Init {
    Zero,
    Output,
    Bias,
    Gather,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    steps: usize,
    rows: usize,
    input: RowLayout,
    output: RowLayout,
    /// The panels of the output that are computed, from and to in percent.
    panels: (usize, usize),
    init: Init,
    transposed: bool,
    /// Panels between the groups of `x`.
    skipped: usize,
    /// Elements between the steps of `x`, the steps of `y`, and the rows of the weights.
    gaps: [usize; 3],
    x: Placement,
    y: Placement,
    matrix: Placement,
    indices: Placement,
    packed: Edge,
    table: Edge,
}

const TABLE_ROWS: usize = 3;

fn case() -> impl Strategy<Value = Case> {
    let layout = |max| (1usize..5, size(max)).prop_map(|(parts, width)| RowLayout { parts, width });
    let init = prop_oneof![Just(Init::Zero), Just(Init::Output), Just(Init::Bias), Just(Init::Gather)];
    let panels = prop_oneof![Just((0, 100)), (0usize..60, 60usize..=100)];
    let gaps = prop::array::uniform3(prop_oneof![Just(0), 0usize..40]);
    let shape = (0usize..3, size(20), layout(150), layout(70), panels);
    let placements = (placement(), placement(), placement(), placement(), edge(), edge());
    (shape, init, any::<bool>(), 0usize..3, gaps, placements).prop_map(
        |((steps, rows, input, output, panels), init, transposed, skipped, gaps, placements)| {
            let (x, y, matrix, indices, packed, table) = placements;
            Case {
                steps,
                rows,
                input,
                output,
                panels,
                init,
                transposed,
                skipped,
                gaps,
                x,
                y,
                matrix,
                indices,
                packed,
                table,
            }
        },
    )
}

impl Case {
    /// `x` and the weights, row-major.
    fn factors<R: Real>(&self) -> (Vec<R>, Vec<R>) {
        let (k, n) = (self.input.elements(), self.output.elements());
        (numbers(self.steps * self.rows * k, 0.1), numbers(k * n, 0.2))
    }

    /// The number of rows of a table of initial values, the table, and the row number for each row of the output.
    fn initial_values<R: Real>(&self) -> (usize, Vec<R>, Vec<u32>) {
        let (n, m) = (self.output.elements(), self.steps * self.rows);
        let (rows, indices): (_, Vec<usize>) = match self.init {
            Init::Zero => return (1, vec![R::ZERO; n], vec![0; m]),
            Init::Output => (m, (0..m).collect()),
            Init::Bias => (1, vec![0; m]),
            Init::Gather => (TABLE_ROWS, (0..m).map(|i| i * i % TABLE_ROWS).collect()),
        };
        (rows, numbers(rows * n, 0.3), indices.into_iter().map(|index| index as u32).collect())
    }

    fn expected(&self) -> Vec<f64> {
        let (m, k, n) = (self.steps * self.rows, self.input.elements(), self.output.elements());
        let (x, w) = self.factors::<f64>();
        let (_, table, indices) = self.initial_values::<f64>();
        let mut expected: Vec<_> =
            indices.iter().flat_map(|index| &table[*index as usize * n..][..n]).copied().collect();
        reference::gemm(MatMut::new(&mut expected, m, n), true, Mat::new(&x, m, k), Mat::new(&w, k, n));
        expected
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
        packed.values = at_page_edge(self.packed, &packed.values);
        packed
    }

    fn check<R: Real>(&self, isa: Isa, expected: &[f64], epsilon: f64) -> Result<(), TestCaseError> {
        let Case { steps, rows, input, output, .. } = *self;
        let (x, w) = self.factors::<R>();
        let packed = self.pack(isa, &w);
        let width = packed.panel_width;
        let x = Operand::new(self.x, (input, width), (steps, rows), (self.skipped, self.gaps[0]), &x);
        let (table_rows, initial_values, indices) = self.initial_values::<R>();
        let indices = Guarded::new(self.indices, &indices);
        let mut table = PanelBuffer::for_isa(isa, output, 1, table_rows);
        for (i, row) in initial_values.chunks_exact(output.elements().max(1)).enumerate() {
            table.write(0, i, row);
        }
        let table = table.at_page_edge(self.table);
        let init = match self.init {
            Init::Zero => AccumulatorInit::Zero,
            Init::Output => AccumulatorInit::Output,
            Init::Bias => AccumulatorInit::Bias(&table),
            Init::Gather => AccumulatorInit::Gather { table: &table, indices: &indices },
        };
        let panels = packed.panels() * self.panels.0 / 100..packed.panels() * self.panels.1 / 100;
        let (step_len, n) = (panels.len() * rows * width, output.elements());
        let stride = step_len + self.gaps[1];
        // Every row of every panel: its row number, its place in `y`, its columns.
        let panel_rows = (0..steps * rows).flat_map(|i| {
            let at = move |p: usize| i / rows * stride + (p * rows + i % rows) * width;
            panels.clone().enumerate().map(move |(p, panel)| (i, at(p), output.panel_columns(width, panel)))
        });
        let len = if step_len == 0 { 0 } else { steps.saturating_sub(1) * stride + step_len.min(steps * step_len) };
        let mut before = vec![canary(); len];
        if let Init::Output = self.init {
            for (i, at, columns) in panel_rows.clone() {
                before[at..][..width].fill(R::ZERO);
                before[at..][..columns.len()].copy_from_slice(&initial_values[i * n..][..n][columns]);
            }
        }
        let mut y = Guarded::new(self.y, &before);
        packed.multiply(panels.clone(), &mut y, stride, x.view(), init);
        prop_assert!(y.is_intact(), "{isa:?}: written outside the output");
        for (i, at, columns) in panel_rows {
            let (got, padding) = y[at..][..width].split_at_mut(columns.len());
            for (got, expected) in got.iter().zip(&expected[i * n..][..n][columns]) {
                let error = (got.to_f64() - expected).abs();
                prop_assert!(error <= epsilon * (input.elements() + 1) as f64, "{isa:?}: {got:?} against {expected}");
            }
            prop_assert!(padding.iter().all(|x| *x == R::ZERO), "{isa:?}: padding {padding:?}");
            y[at..][..width].fill(canary());
        }
        prop_assert!(are_canaries(&y), "{isa:?}: written between the steps");
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
