//! 8-bit products of any shape, with operands next to inaccessible pages.

use proptest::prelude::*;

use super::*;
use crate::kernels::panel_buffer::RowLayout;
use crate::kernels::testing::{Guarded, Operand, are_canaries, at_page_edge, canary, edge, numbers, placement, size};
use crate::simd::{Isa, dispatch_on};

/// A product of one row according to the definition at the top of `int8.rs`; `weights` is row-major with `n` columns.
fn reference_product(x: &[f32], weights: &[f32], n: usize) -> Vec<f32> {
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, |largest: f32, x| largest.max(x.abs()));
    let quantize = |x: f32, largest: f32| if largest > 0.0 { (x * (LARGEST / largest)).round() as i32 } else { 0 };
    let largest_x = largest(&mut x.iter().copied());
    let column = |j: usize| {
        let column = weights.iter().copied().skip(j).step_by(n);
        let largest_w = largest(&mut column.clone());
        let sum: i32 = x.iter().zip(column).map(|(x, w)| quantize(*x, largest_x) * quantize(w, largest_w)).sum();
        largest_x / LARGEST * (largest_w / LARGEST) * sum as f32
    };
    (0..n).map(column).collect()
}

proptest! {
    #[test]
    fn dot_products_are_exact_on_every_instruction_set(
        groups in size(40), width in prop::sample::select(&[8usize, 16, 32]), seed: u8, row_at in placement(), panel_at in edge(),
    ) {
        let byte = |i: usize| (i * 89 + i / 7).wrapping_add(seed.into()) as u8;
        let row: Vec<u8> = (0..groups * GROUP).map(byte).collect();
        let panel: Vec<i8> = (0..row.len() * width).map(|i| byte(i * 3).cast_signed()).collect();
        let mut expected = [0; MAX_PANEL_WIDTH];
        for (i, x) in row.iter().enumerate() {
            for (column, sum) in expected.iter_mut().enumerate().take(width) {
                *sum += i32::from(*x) * i32::from(panel[(i / GROUP * width + column) * GROUP + i % GROUP]);
            }
        }
        let (row, panel) = (Guarded::new(row_at, &row), at_page_edge(panel_at, &panel));
        for isa in Isa::available() {
            let mut sums = [0; MAX_PANEL_WIDTH];
            dispatch_on(isa, DotProducts { sums: &mut sums, row: &row, panel: &panel, panel_width: width });
            prop_assert_eq!(sums, expected, "{:?}", isa);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(vnni) = Avx512Vnni::detect().filter(|_| width == MAX_PANEL_WIDTH) {
            let mut sums = [0; MAX_PANEL_WIDTH];
            vnni.dot_products(&mut sums, &row, &panel);
            prop_assert_eq!(sums, expected);
        }
    }

    #[test]
    fn products_match_their_definition_and_stay_within_their_operands(
        (steps, rows) in (0usize..3, size(10)), (k, n) in (size(70), size(70)), width in prop::sample::select(&[8usize, 16, 32]),
        (skipped, x_gap, y_gap) in (0usize..3, 0usize..9, 0usize..9), (x_at, y_at, values_at) in (placement(), placement(), edge()),
    ) {
        let k = k.max(1);
        let (input, output) = (RowLayout::single(k), RowLayout::single(n));
        let (x, w) = (numbers::<f32>(steps * rows * k, 0.1), numbers::<f32>(k * n, 0.2));
        let (panels, panel_rows) = (output.panels(width), input.panels(width) * width);
        let mut packed = vec![0.0; panels * panel_rows * width];
        for (i, j) in (0..k).flat_map(|i| (0..n).map(move |j| (i, j))) {
            packed[(j / width * panel_rows + i) * width + j % width] = w[i * n + j];
        }
        let mut int8 = Int8Panels::quantize(&packed, panel_rows * width, width);
        int8.values = at_page_edge(values_at, &int8.values);
        let operand = Operand::new(x_at, (input, width), (steps, rows), (skipped, x_gap), &x);
        let (step_len, columns) = (panels * rows * width, panels * width);
        let indices = (0..steps * rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        let at = |i: usize, j: usize| i / rows * (step_len + y_gap) + (j / width * rows + i % rows) * width + j % width;
        let mut y = vec![canary(); steps.saturating_sub(1) * (step_len + y_gap) + step_len.min(steps * step_len)];
        indices.clone().for_each(|(i, j)| y[at(i, j)] = 0.5);
        let mut y = Guarded::new(y_at, &y);
        int8.multiply_add(0..panels, &mut y, step_len + y_gap, operand.view());
        prop_assert!(y.is_intact(), "written outside the output");
        for i in 0..steps * rows {
            let expected = reference_product(&x[i * k..][..k], &w, n).into_iter().chain(std::iter::repeat(0.0));
            for (j, expected) in expected.enumerate().take(columns) {
                let got = y[at(i, j)] - 0.5;
                prop_assert!((got - expected).abs() <= if j < n { 1e-5 * (k + 1) as f32 } else { 0.0 }, "{got} against {expected}");
            }
        }
        indices.for_each(|(i, j)| y[at(i, j)] = canary());
        prop_assert!(are_canaries(&y), "written between the steps");
    }
}
