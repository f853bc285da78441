//! The input product of the first layer. A window has far fewer distinct characters than positions, so `embed w_ih + b` is computed
//! once per distinct character; the recurrent product gathers these rows. In the backward pass, the gate gradients are first summed
//! into these rows.

use crate::kernels::{Mat, MatMut, Real, gemm, vector};

/// Marks a character that does not occur in the window.
const ABSENT: u32 = u32::MAX;

/// The distinct token ids of a window, in the order of their first occurrence.
#[derive(Clone, Debug)]
pub struct DistinctIds {
    ids: Vec<u32>,
    slots: Vec<u32>,
}

impl DistinctIds {
    /// An empty set for a vocabulary of `vocab` characters.
    pub fn new(vocab: usize) -> Self {
        DistinctIds { ids: Vec::with_capacity(vocab), slots: vec![ABSENT; vocab] }
    }

    /// Replaces the set by the token ids of a window.
    pub fn collect(&mut self, inputs: &[u32]) {
        for id in self.ids.drain(..) {
            self.slots[id as usize] = ABSENT;
        }
        for &id in inputs {
            if self.slots[id as usize] == ABSENT {
                self.slots[id as usize] = self.ids.len() as u32;
                self.ids.push(id);
            }
        }
    }

    /// The distinct token ids.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The table row of a token id that occurs in the window.
    pub fn slot(&self, id: u32) -> u32 {
        self.slots[id as usize]
    }
}

/// `table = embed[ids] w_ih + b`, `(ids, gates * H)`, or `w_ih[ids] + b` for one-hot input. The columns of `w_ih` are added to those of
/// `b` from `first` on.
///
/// `embed[ids]` is written to `gathered`, `(ids, E)`; one-hot input leaves it unchanged.
pub fn project<R: Real>(
    table: &mut [R],
    gathered: &mut [R],
    embed: Option<&[R]>,
    w_ih: Mat<'_, R>,
    (b, first): (&[R], usize),
    ids: &[u32],
) {
    let n = b.len();
    let table = &mut table[..ids.len() * n];
    match embed {
        Some(embed) => {
            let e = w_ih.rows();
            let gathered = &mut gathered[..ids.len() * e];
            for (row, &id) in gathered.chunks_exact_mut(e).zip(ids) {
                row.copy_from_slice(&embed[id as usize * e..][..e]);
            }
            table.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(b));
            if !ids.is_empty() {
                let table = MatMut::strided(&mut table[first..], ids.len(), w_ih.cols(), n);
                gemm(table, true, Mat::new(gathered, ids.len(), e), w_ih);
            }
        }
        None => {
            for (row, &id) in table.chunks_exact_mut(n).zip(ids) {
                row.copy_from_slice(b);
                vector::add(&mut row[first..][..w_ih.cols()], w_ih.row(id as usize));
            }
        }
    }
}
