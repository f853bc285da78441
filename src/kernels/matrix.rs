//! Views of matrices in flat slices. The constructors check the dimensions, so that kernels need not check them again.

/// A read-only `rows x cols` matrix in a slice; element `(r, c)` is at `r * row_stride + c * col_stride`.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a, R> {
    pub(super) data: &'a [R],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

/// A writable row-major `rows x cols` matrix in a slice; row `r` starts at `r * stride`.
#[derive(Debug)]
pub struct MatMut<'a, R> {
    pub(super) data: &'a mut [R],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// Panics unless a matrix of this shape fits in `len` elements.
fn check(len: usize, rows: usize, cols: usize, row_stride: usize, col_stride: usize) {
    let last = |n: usize, stride: usize| (n - 1).checked_mul(stride);
    let fits = rows == 0
        || cols == 0
        || last(rows, row_stride)
            .zip(last(cols, col_stride))
            .and_then(|(r, c)| r.checked_add(c))
            .is_some_and(|end| end < len);
    assert!(fits, "a {rows} x {cols} matrix with strides {row_stride}, {col_stride} does not fit {len} elements");
}

impl<'a, R> Mat<'a, R> {
    /// A contiguous row-major matrix.
    pub fn new(data: &'a [R], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows are `stride` elements apart.
    pub fn strided(data: &'a [R], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(stride >= cols, "rows of {cols} overlap at a stride of {stride}");
        check(data.len(), rows, cols, stride, 1);
        Mat { data, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// The transpose, without copying.
    pub fn t(self) -> Self {
        Mat {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            data: self.data,
        }
    }

    /// Columns `first..first + cols`. The matrix must be row-major.
    pub fn columns(self, first: usize, cols: usize) -> Self {
        let within = first.checked_add(cols).is_some_and(|end| end <= self.cols);
        assert!(self.col_stride == 1 && within, "columns {first}.. of {}", self.cols);
        let first = if self.rows == 0 { 0 } else { first };
        Mat { data: &self.data[first..], cols, ..self }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Distance between two rows.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }
    /// Distance between two elements of a row.
    pub fn col_stride(&self) -> usize {
        self.col_stride
    }
    /// One row. The matrix must be row-major.
    pub fn row(&self, row: usize) -> &'a [R] {
        assert!(row < self.rows && self.col_stride == 1, "row {row} of {}", self.rows);
        if self.cols == 0 { &[] } else { &self.data[row * self.row_stride..][..self.cols] }
    }
}

impl<R: Copy> Mat<'_, R> {
    /// One element.
    pub fn at(&self, row: usize, col: usize) -> R {
        assert!(row < self.rows && col < self.cols, "({row}, {col}) is outside {} x {}", self.rows, self.cols);
        self.data[row * self.row_stride + col * self.col_stride]
    }
}

impl<'a, R> MatMut<'a, R> {
    /// A contiguous row-major matrix.
    pub fn new(data: &'a mut [R], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows are `stride` elements apart.
    pub fn strided(data: &'a mut [R], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(stride >= cols, "rows of {cols} overlap at a stride of {stride}");
        check(data.len(), rows, cols, stride, 1);
        MatMut { data, rows, cols, stride }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Distance between two rows.
    pub fn stride(&self) -> usize {
        self.stride
    }
    /// One row.
    pub fn row(&mut self, row: usize) -> &mut [R] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        if self.cols == 0 { &mut [] } else { &mut self.data[row * self.stride..][..self.cols] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transpose_swaps_the_indices() {
        let data = [1, 2, 3, 4, 5, 6];
        let m = Mat::new(&data, 2, 3);
        assert_eq!((m.at(0, 2), m.t().at(2, 0), m.t().rows()), (3, 3, 3));
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn rejects_a_view_beyond_its_slice() {
        Mat::new(&[0.0f32; 5], 2, 3);
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn rejects_a_size_that_overflows() {
        MatMut::strided(&mut [0.0f32; 5], usize::MAX, 2, usize::MAX);
    }

    #[test]
    #[should_panic(expected = "columns 5.. of 6")]
    fn rejects_columns_that_overflow() {
        let _ = Mat::new(&[0.0f32; 12], 2, 6).columns(5, usize::MAX - 4);
    }

    #[test]
    fn accepts_empty_views() {
        assert_eq!(Mat::new(&[0.0f32; 0], 0, 3).rows(), 0);
        assert!(Mat::strided(&[0.0f32; 0], 2, 0, 3).row(1).is_empty());
        assert!(MatMut::strided(&mut [0.0f32; 0], 2, 0, 3).row(1).is_empty());
    }
}
