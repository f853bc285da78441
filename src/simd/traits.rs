//! Traits for instruction sets and for the kernels that are compiled for each of them.

/// Registers in a row of a panel: panels of the matrix products are this many registers wide.
pub const PANEL_VECTORS: usize = 2;
/// The widest panel of any instruction set, in elements.
pub const MAX_PANEL_WIDTH: usize = 32;

/// An instruction set. A value of an implementing type is the proof that this machine supports it.
pub trait Simd: SimdVec<f32> {
    /// Whether a fused multiply-add is one instruction; otherwise it would be a slow library call.
    const HAS_FMA: bool;

    /// `a * b + c`, fused if [`HAS_FMA`](Self::HAS_FMA).
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        if Self::HAS_FMA { a.mul_add(b, c) } else { a * b + c }
    }
}

/// A loop that is compiled once per instruction set.
pub trait SimdKernel {
    /// The result.
    type Output;

    /// The loop. Implementations must be `#[inline(always)]`, as must everything that they call: only what is inlined into the
    /// dispatcher is compiled for the instruction set.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The vector registers of an instruction set for elements of type `R`.
///
/// # Safety
/// [`load`](Self::load) and [`store`](Self::store) must access exactly `WIDTH` elements.
pub unsafe trait SimdVec<R>: Copy {
    /// A register.
    type Register: Copy;
    /// Elements in a register.
    const WIDTH: usize;
    /// Number of registers.
    const REGISTERS: usize;
    /// Elements in a row of a panel.
    const PANEL_WIDTH: usize = PANEL_VECTORS * Self::WIDTH;

    /// A register with every element equal to `value`.
    fn splat(self, value: R) -> Self::Register;
    /// `a * b + c`, element by element.
    fn mul_add(self, a: Self::Register, b: Self::Register, c: Self::Register) -> Self::Register;
    /// Hints that the cache line at `from` will be read; any pointer is allowed.
    fn prefetch(self, from: *const R);

    /// Loads a register.
    ///
    /// # Safety
    /// `from` must be valid for reads of `WIDTH` elements. No alignment is required.
    unsafe fn load(self, from: *const R) -> Self::Register;
    /// Stores a register.
    ///
    /// # Safety
    /// `to` must be valid for writes of `WIDTH` elements. No alignment is required.
    unsafe fn store(self, to: *mut R, value: Self::Register);
}
