//! Pearson's correlation of each unit with a property of the text.

/// Pearson's r of every unit with a property: `values` is `(T, units)`, the property `(T)`. It is 0 if either is constant.
///
/// ```text
/// r = sum((x - mean(x)) * (y - mean(y))) / sqrt(sum((x - mean(x))^2) * sum((y - mean(y))^2))
/// ```
pub fn pearson(values: &[f32], units: usize, property: &[f64]) -> Vec<f64> {
    assert_eq!(values.len(), units * property.len(), "values must have one row per character");
    let count = property.len() as f64;
    let mut means = vec![0.0; units];
    for row in values.chunks_exact(units) {
        means.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x) / count);
    }
    let mean_y = property.iter().sum::<f64>() / count;
    let (mut xx, mut xy, mut yy) = (vec![0.0; units], vec![0.0; units], 0.0);
    for (row, y) in values.chunks_exact(units).zip(property) {
        let dy = y - mean_y;
        yy += dy * dy;
        for ((xx, xy), (x, mean)) in xx.iter_mut().zip(&mut xy).zip(row.iter().zip(&means)) {
            let dx = f64::from(*x) - mean;
            *xx += dx * dx;
            *xy += dx * dy;
        }
    }
    let r = |(xy, xx): (f64, f64)| if xx > 0.0 && yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 };
    xy.into_iter().zip(xx).map(r).collect()
}

/// Up to `most` units with the largest absolute correlations, largest first; units with zero correlation are omitted.
pub fn strongest(correlations: &[f64], most: usize) -> Vec<usize> {
    let mut units: Vec<usize> = (0..correlations.len()).filter(|unit| correlations[*unit] != 0.0).collect();
    units.sort_by(|a, b| correlations[*b].abs().total_cmp(&correlations[*a].abs()));
    units.truncate(most);
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_calculation_by_hand() {
        // x has mean 4 and deviations -3, -1, 0, 4; y has mean 3 and deviations -2, 0, 1, 1.
        // The sums of squares are 26 and 6, the sum of products is 10. The second unit is -x, the third is constant.
        let values = [1.0, -1.0, 5.0, 3.0, -3.0, 5.0, 4.0, -4.0, 5.0, 8.0, -8.0, 5.0];
        let r = pearson(&values, 3, &[1.0, 3.0, 4.0, 4.0]);
        let expected = 10.0 / 156.0_f64.sqrt();
        assert!((r[0] - expected).abs() < 1e-12 && (r[1] + expected).abs() < 1e-12, "{r:?}");
        assert_eq!(r[2], 0.0);
        assert_eq!(pearson(&values, 3, &[7.0; 4]), [0.0; 3], "a constant property");
        assert_eq!(pearson(&[], 3, &[]), [0.0; 3]);
    }

    #[test]
    fn a_large_offset_does_not_matter() {
        let values: Vec<f32> = (0..100).map(|t| 1000.0 + 0.5 * t as f32).collect();
        let property: Vec<f64> = (0..100).map(|t| 7.0 - f64::from(t)).collect();
        assert!((pearson(&values, 1, &property)[0] + 1.0).abs() < 1e-9);
    }

    #[test]
    fn strongest_orders_by_absolute_value() {
        assert_eq!(strongest(&[0.1, -0.9, 0.0, 0.5], 2), [1, 3]);
        assert_eq!(strongest(&[0.1, -0.9, 0.0, 0.5], 9), [1, 3, 0], "units with zero correlation are omitted");
    }
}
