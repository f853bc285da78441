//! AVX-512 VNNI: dot products of 8-bit integers.

use std::arch::x86_64::{
    _MM_HINT_T0, _mm_prefetch, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::traits::MAX_PANEL_WIDTH;

/// Proof that this machine supports AVX-512 F and VNNI.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Vnni(());

impl Avx512Vnni {
    /// Products that one instruction adds up.
    pub const GROUP: usize = 4;

    /// A proof, where the machine supports it.
    pub fn detect() -> Option<Self> {
        let detected = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
        detected.then_some(Avx512Vnni(()))
    }

    /// `sums[j] = ` the dot product of `row` and column `j` of `panel`. The panel holds, for every [`GROUP`](Self::GROUP) rows, the
    /// weights of each column. Sums wrap around beyond 32 bits.
    ///
    /// # Panics
    /// If `row` is not a whole number of groups, or `panel` does not hold one weight per row and column.
    pub fn dot_products(self, sums: &mut [i32; MAX_PANEL_WIDTH], row: &[u8], panel: &[i8]) {
        assert!(
            row.len().is_multiple_of(Self::GROUP),
            "a row of {} elements is not a whole number of groups",
            row.len()
        );
        assert_eq!(panel.len(), row.len() * MAX_PANEL_WIDTH, "weights of a panel");
        // SAFETY: `self` proves that the instructions are available; the lengths were checked above.
        unsafe { dot_products(sums, row, panel) }
    }
}

/// # Safety
/// `row` must be a whole number of groups, and `panel` must hold `MAX_PANEL_WIDTH` weights for each of its elements.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn dot_products(sums: &mut [i32; MAX_PANEL_WIDTH], row: &[u8], panel: &[i8]) {
    const GROUP: usize = Avx512Vnni::GROUP;
    /// Accumulators per column, which hide the latency of an instruction.
    const CHAINS: usize = 4;
    /// How far ahead weights are prefetched, in bytes.
    const PREFETCH_DISTANCE: usize = 2048;
    let mut chains = [[_mm512_setzero_si512(); 2]; CHAINS];
    let groups = row.len() / GROUP;
    for first in (0..groups).step_by(CHAINS) {
        for (i, chain) in chains.iter_mut().enumerate().take(groups - first) {
            let group = first + i;
            // SAFETY: `group` is below the number of groups, each of which has `GROUP` bytes of `row` and two registers of `panel`;
            // prefetching accepts any pointer.
            unsafe {
                let factors = row.as_ptr().add(group * GROUP).cast::<i32>().read_unaligned();
                let factors = _mm512_set1_epi32(factors);
                let weights = panel.as_ptr().add(group * GROUP * MAX_PANEL_WIDTH);
                for (half, sum) in chain.iter_mut().enumerate() {
                    let at = weights.add(half * 64);
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(PREFETCH_DISTANCE));
                    *sum = _mm512_dpbusd_epi32(*sum, factors, _mm512_loadu_si512(at.cast()));
                }
            }
        }
    }
    for half in 0..2 {
        let mut sum = _mm512_setzero_si512();
        for chain in &chains {
            sum = _mm512_add_epi32(sum, chain[half]);
        }
        // SAFETY: `sums` holds two registers of sixteen elements.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().add(half * 16).cast(), sum) };
    }
}
