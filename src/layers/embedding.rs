//! The first layer's input product. A window has far fewer distinct characters than positions, so `embed w_ih + b` is computed
//! once for each distinct character, and the recurrent product begins with those rows; backward, the gate gradients are summed
//! into those rows first.

use crate::kernels::{Mat, MatMut, Real, gemm, vector};

/// What marks a character that the window does not have.
const ABSENT: u32 = u32::MAX;

/// The distinct characters of a window, in the order in which they first occur.
#[derive(Clone, Debug)]
pub struct DistinctIds {
    ids: Vec<u32>,
    slots: Vec<u32>,
}

impl DistinctIds {
    /// No character yet, of a vocabulary of that size.
    pub fn new(vocab: usize) -> Self {
        DistinctIds { ids: Vec::with_capacity(vocab), slots: vec![ABSENT; vocab] }
    }

    /// Takes in the characters of a window in place of those before.
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

    /// The characters.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The row of the table that belongs to a character of the window.
    pub fn slot(&self, id: u32) -> u32 {
        self.slots[id as usize]
    }
}

/// `table = embed[ids] w_ih + b`, a row for each of `ids`; without an embedding (one-hot), `w_ih[ids] + b`. The columns of
/// `w_ih` are those of `b` from `first` on, or some of them; the others are `b` alone.
///
/// `gathered` receives `embed[ids]`; it is left alone for one-hot input.
pub fn table<R: Real>(
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
