//! Random orthogonal matrices.

use faer::Mat as FaerMat;

use super::matrix::MatMut;

/// Fills `dst`, a square matrix, with a random orthogonal matrix (Saxe et al. 2014): the factor Q of a QR decomposition of `normal`
/// numbers, with each column multiplied by the sign of the corresponding diagonal element of R, which makes the distribution
/// uniform (Mezzadri 2007).
pub fn orthogonal(mut dst: MatMut<'_, f32>, mut normal: impl FnMut() -> f32) {
    let n = dst.rows();
    assert_eq!(n, dst.cols(), "an orthogonal matrix is square");
    let qr = FaerMat::from_fn(n, n, |_, _| normal()).qr();
    let (q, r) = (qr.compute_Q(), qr.R());
    for i in 0..n {
        for (j, x) in dst.row(i).iter_mut().enumerate() {
            *x = q[(i, j)].copysign(q[(i, j)] * r[(j, j)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Mat, reference};
    use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn rows_are_orthonormal() {
        let n = 70;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut q = vec![0.0f32; n * (n + 3)];
        orthogonal(MatMut::strided(&mut q, n, n, n + 3), || StandardNormal.sample(&mut rng));
        let mut product = vec![0.0f32; n * n];
        let q = Mat::strided(&q, n, n, n + 3);
        reference::gemm(MatMut::new(&mut product, n, n), false, q, q.t());
        for (i, x) in product.iter().enumerate() {
            let expected = if i % (n + 1) == 0 { 1.0 } else { 0.0 };
            assert!((x - expected).abs() < 1e-5, "{x} at {i}");
        }
        assert!(q.at(0, 0) != q.at(1, 1), "not the identity");
    }
}
