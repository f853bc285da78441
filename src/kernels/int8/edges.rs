//! Products in eight bits of any shape, their operands between pages that nobody may touch.

use proptest::prelude::*;

use super::*;
use crate::kernels::blocked::RowLayout;
use crate::kernels::guarded::{Guarded, are_canaries, beside, canary, edge, place, size};
use crate::kernels::isa::{Isa, vectorize_for};
use crate::kernels::testing::{Operand, reals};

/// Whether this machine has the instructions, in force or not.
fn machine_has_vnni() -> bool {
    #[cfg(target_arch = "x86_64")]
    return Isa::Avx512.is_available() && is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// A product of one row, as the head of the file defines it; `weights` row by row.
fn product(x: &[f32], weights: &[f32], n: usize) -> Vec<f32> {
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, |largest: f32, x| largest.max(x.abs()));
    let whole = |x: f32, largest: f32| if largest > 0.0 { (x * (LARGEST / largest)).round() as i32 } else { 0 };
    let of_x = largest(&mut x.iter().copied());
    let column = |j: usize| {
        let column = weights.iter().copied().skip(j).step_by(n);
        let of_column = largest(&mut column.clone());
        let sum: i32 = x.iter().zip(column).map(|(x, w)| whole(*x, of_x) * whole(w, of_column)).sum();
        of_x / LARGEST * (of_column / LARGEST) * sum as f32
    };
    (0..n).map(column).collect()
}

proptest! {
    #[test]
    fn the_sums_of_every_path_are_exact_and_stay_within_their_operands(
        groups in size(40), panel_width in prop::sample::select(&[8usize, 16, 32]), seed: u8, row_at in place(), panel_at in edge(),
    ) {
        let byte = |i: usize| (i * 89 + i / 7).wrapping_add(seed.into()) as u8;
        let row: Vec<u8> = (0..groups * FACTORS).map(byte).collect();
        let panel: Vec<i8> = (0..row.len() * panel_width).map(|i| byte(i * 3).cast_signed()).collect();
        let mut wanted = [0; WIDEST];
        for (i, x) in row.iter().enumerate() {
            for (lane, sum) in wanted.iter_mut().enumerate().take(panel_width) {
                *sum += i32::from(*x) * i32::from(panel[(i / FACTORS * panel_width + lane) * FACTORS + i % FACTORS]);
            }
        }
        let (row, values) = (Guarded::new(row_at, &row), beside(panel_at, &panel));
        for isa in Isa::available() {
            let mut sums = [0; WIDEST];
            vectorize_for(isa, Sums { sums: &mut sums, row: &row, panel: &values, panel_width });
            prop_assert_eq!(sums, wanted, "{:?}", isa);
        }
        let int8 = Int8 { values, scales: Vec::new(), raised: Vec::new(), panel_width, vnni: machine_has_vnni() };
        let mut sums = [0; WIDEST];
        int8.sums(&mut sums, &row, &int8.values);
        prop_assert_eq!(sums, wanted);
    }

    #[test]
    fn a_product_is_what_it_is_defined_to_be_and_stays_within_its_operands(
        (steps, rows) in (0usize..3, size(10)), (k, n) in (size(70), size(70)), panel_width in prop::sample::select(&[8usize, 16, 32]),
        (others, x_gap, y_gap) in (0usize..3, 0usize..9, 0usize..9), (x_at, y_at, values_at) in (place(), place(), edge()),
    ) {
        let k = k.max(1);
        let (input, output) = (RowLayout::single(k), RowLayout::single(n));
        let (x, w) = (reals::<f32>(steps * rows * k, 0.1), reals::<f32>(k * n, 0.2));
        // Of panels row by row, the columns of each side by side.
        let (panels, panel_rows) = (output.panels(panel_width), input.panels(panel_width) * panel_width);
        let mut laid_out = vec![0.0; panels * panel_rows * panel_width];
        for (i, j) in (0..k).flat_map(|i| (0..n).map(move |j| (i, j))) {
            laid_out[(j / panel_width * panel_rows + i) * panel_width + j % panel_width] = w[i * n + j];
        }
        let mut int8 = Int8::of(&laid_out, panel_rows * panel_width, panel_width);
        int8.values = beside(values_at, &int8.values);
        let operand = Operand::new(x_at, (input, panel_width), (steps, rows), (others, x_gap), &x);
        let (of_step, columns) = (panels * rows * panel_width, panels * panel_width);
        let places = (0..steps * rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        let place_of = |i: usize, j: usize| i / rows * (of_step + y_gap) + (j / panel_width * rows + i % rows) * panel_width + j % panel_width;
        let mut y = vec![canary(); steps.saturating_sub(1) * (of_step + y_gap) + of_step.min(steps * of_step)];
        places.clone().for_each(|(i, j)| y[place_of(i, j)] = 0.5);
        let mut y = Guarded::new(y_at, &y);
        int8.multiply(0..panels, panel_rows * panel_width, &mut y, of_step + y_gap, operand.rows());
        prop_assert!(y.is_intact(), "written beside the output");
        for i in 0..steps * rows {
            let wanted = product(&x[i * k..][..k], &w, n).into_iter().chain(std::iter::repeat(0.0));
            for (j, wanted) in wanted.enumerate().take(columns) {
                let got = y[place_of(i, j)] - 0.5;
                prop_assert!((got - wanted).abs() <= if j < n { 1e-5 * (k + 1) as f32 } else { 0.0 }, "{got} against {wanted}");
            }
        }
        places.for_each(|(i, j)| y[place_of(i, j)] = canary());
        prop_assert!(are_canaries(&y), "written between the rows");
    }
}
