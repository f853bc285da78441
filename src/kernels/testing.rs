//! Test data, and memory between two inaccessible pages: an out-of-bounds access causes a segmentation fault.

use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::MmapMut;
use proptest::prelude::*;
use proptest::sample::select;

use super::aligned::AlignedBuffer;
use super::panel_buffer::{PanelBuffer, PanelView, RowLayout};
use super::real::Real;
use crate::simd::{Isa, MAX_PANEL_WIDTH};

/// A deterministic sequence of numbers between -1.5 and 1.5.
pub fn numbers<R: Real>(n: usize, phase: f64) -> Vec<R> {
    let number = |i: usize| ((i as f64 * 0.7 + phase).sin() * 1.5) as f32;
    (0..n).map(|i| R::from_f64(number(i).into())).collect()
}

/// Packs row-major rows `(T, B, row)` into panels.
pub fn to_panels(isa: Isa, row_layout: RowLayout, steps: usize, rows: usize, values: &[f32]) -> PanelBuffer<f32> {
    let mut buffer = PanelBuffer::for_isa(isa, row_layout, steps, rows);
    for (i, row) in values.chunks_exact(row_layout.elements()).enumerate() {
        buffer.write(i / rows, i % rows, row);
    }
    buffer
}

/// All rows `(T, B, row)` of a buffer, row-major.
pub fn from_panels(buffer: &PanelBuffer<f32>) -> Vec<f32> {
    let (width, rows) = (buffer.shape().row_layout.elements(), buffer.shape().streams);
    let mut values = vec![0.0; buffer.steps() * rows * width];
    for (i, row) in values.chunks_exact_mut(width).enumerate() {
        buffer.read(i / rows, i % rows, row);
    }
    values
}

/// Inserts canaries between rows of `width` elements, so that they are `stride` elements apart.
pub fn spaced<R: Real>(values: &[R], width: usize, stride: usize) -> Vec<R> {
    let rows = values.len() / width.max(1);
    let mut spaced = vec![canary(); rows.saturating_sub(1) * stride + width.min(values.len())];
    for (i, row) in values.chunks_exact(width.max(1)).enumerate() {
        spaced[i * stride..][..width].copy_from_slice(row);
    }
    spaced
}

/// A multiple of every system's page size.
const PAGE: usize = 1 << 16;

/// The inaccessible page that a buffer touches.
#[derive(Clone, Copy, Debug)]
pub enum Edge {
    Before,
    After,
}

/// The position of a buffer: `offset` elements from an inaccessible page, so that every alignment occurs.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    edge: Edge,
    offset: usize,
}

pub fn edge() -> impl Strategy<Value = Edge> {
    select(&[Edge::Before, Edge::After])
}

/// Any placement, half of them directly next to an inaccessible page.
pub fn placement() -> impl Strategy<Value = Placement> {
    (edge(), prop_oneof![Just(0), 0..MAX_PANEL_WIDTH]).prop_map(|(edge, offset)| Placement { edge, offset })
}

/// Sizes up to `max`, half of them within 1 of a multiple of some vector's width.
pub fn size(max: usize) -> impl Strategy<Value = usize> {
    let near = (select(&[4usize, 8, 16, 32]), 0usize..5, 0usize..3);
    prop_oneof![0..=max, near.prop_map(move |(width, n, by)| (width * n + by).saturating_sub(1).min(max))]
}

/// A value that a kernel must neither read nor overwrite: all bits set, which is NaN, or an index beyond every table.
pub fn canary<R: Pod>() -> R {
    let mut canary = R::zeroed();
    bytemuck::bytes_of_mut(&mut canary).fill(u8::MAX);
    canary
}

pub fn are_canaries<R: Pod>(values: &[R]) -> bool {
    bytemuck::cast_slice::<R, u8>(values).iter().all(|byte| *byte == u8::MAX)
}

/// A copy of `values` that touches an inaccessible page.
pub fn at_page_edge<R: Pod>(edge: Edge, values: &[R]) -> AlignedBuffer<R> {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    let len = bytes.len().next_multiple_of(PAGE);
    let start = match edge {
        Edge::Before => PAGE,
        Edge::After => PAGE + len - bytes.len(),
    };
    let mut map = MmapMut::map_anon(PAGE + len + PAGE).unwrap();
    map[start..][..bytes.len()].copy_from_slice(bytes);
    make_inaccessible(&mut map, 0);
    make_inaccessible(&mut map, PAGE + len);
    AlignedBuffer::within(map, start, bytes.len())
}

#[cfg(unix)]
fn make_inaccessible(map: &mut MmapMut, page: usize) {
    let page = map[page..][..PAGE].as_mut_ptr();
    // SAFETY: the page belongs to our map, and no slice of it is ever handed out.
    let status = unsafe { libc::mprotect(page.cast(), PAGE, libc::PROT_NONE) };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
}

/// On other systems, only the canaries detect an access.
#[cfg(not(unix))]
fn make_inaccessible(_: &mut MmapMut, _: usize) {}

/// Numbers with canaries on both sides, next to an inaccessible page.
#[derive(Debug)]
pub struct Guarded<R> {
    memory: AlignedBuffer<R>,
    offset: usize,
}

impl<R: Pod> Guarded<R> {
    pub fn new(placement: Placement, values: &[R]) -> Self {
        let Placement { edge, offset } = placement;
        let mut memory = vec![canary(); offset + values.len() + offset];
        memory[offset..][..values.len()].copy_from_slice(values);
        Guarded { memory: at_page_edge(edge, &memory), offset }
    }

    /// Whether the canaries on both sides are unchanged.
    pub fn is_intact(&self) -> bool {
        are_canaries(&self.memory[..self.offset]) && are_canaries(&self.memory[self.offset + self.len()..])
    }
}

impl<R: Pod> Deref for Guarded<R> {
    type Target = [R];
    fn deref(&self) -> &[R] {
        &self.memory[self.offset..self.memory.len() - self.offset]
    }
}

impl<R: Pod> DerefMut for Guarded<R> {
    fn deref_mut(&mut self) -> &mut [R] {
        let end = self.memory.len() - self.offset;
        &mut self.memory[self.offset..end]
    }
}

/// Activations in guarded memory, with canaries between groups of panels and between steps.
#[derive(Debug)]
pub struct Operand<R: 'static> {
    values: Guarded<R>,
    layout: PanelView<'static, R>,
}

impl<R: Real> Operand<R> {
    /// From row-major rows `(T, B, row)`: `skipped` panels are left out after each group, and `gap` elements after each step.
    pub fn new(
        placement: Placement,
        (row_layout, panel_width): (RowLayout, usize),
        (steps, rows): (usize, usize),
        (skipped, gap): (usize, usize),
        values: &[R],
    ) -> Self {
        // As in `PanelShape::parts`.
        let group = if skipped == 0 { 1 } else { row_layout.parts };
        let (panels, group_stride) = (row_layout.panels(panel_width), (group + skipped) * rows * panel_width);
        let step_stride = (panels / group.max(1)) * group_stride + gap;
        let layout = PanelView { data: &[], steps, step_stride, panels, group, group_stride, rows, panel_width };
        let start = |t: usize, panel: usize| t * step_stride + layout.panel_offset(panel);
        let is_empty = [steps, rows, panels].contains(&0);
        let len = if is_empty { 0 } else { start(steps - 1, panels - 1) + rows * panel_width };
        let mut memory = vec![canary(); len];
        for (i, row) in values.chunks_exact(row_layout.elements().max(1)).enumerate() {
            for panel in 0..panels {
                let to = &mut memory[start(i / rows, panel) + i % rows * panel_width..][..panel_width];
                let from = &row[row_layout.panel_columns(panel_width, panel)];
                to[..from.len()].copy_from_slice(from);
                to[from.len()..].fill(R::ZERO);
            }
        }
        Operand { values: Guarded::new(placement, &memory), layout }
    }

    pub fn view(&self) -> PanelView<'_, R> {
        PanelView { data: &self.values, ..self.layout }
    }
}

/// Whether a byte can be read: the operating system reports EFAULT where a process would crash.
#[cfg(unix)]
fn is_readable(address: *const u8) -> bool {
    use std::os::fd::AsRawFd;
    let (_reader, writer) = std::io::pipe().unwrap();
    // SAFETY: the operating system checks whether the address is readable.
    let written = unsafe { libc::write(writer.as_raw_fd(), address.cast(), 1) };
    let fault = std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT);
    assert!(written == 1 || fault, "neither written nor refused");
    written == 1
}

#[cfg(unix)]
#[test]
fn pages_around_a_buffer_are_inaccessible() {
    for (edge, bytes) in [Edge::Before, Edge::After].into_iter().flat_map(|edge| [1, 3, PAGE].map(|n| (edge, n))) {
        let memory = at_page_edge(edge, &vec![7u8; bytes]);
        let (first, end) = (memory.as_ptr(), memory.as_ptr().wrapping_add(bytes));
        assert!(memory.iter().all(|x| *x == 7) && is_readable(first) && is_readable(end.wrapping_sub(1)));
        let outside = match edge {
            Edge::Before => first.wrapping_sub(1),
            Edge::After => end,
        };
        assert!(!is_readable(outside), "{edge:?} {bytes}");
    }
}

#[test]
fn guarded_memory_detects_writes_on_either_side() {
    for (edge, at) in [(Edge::Before, 1), (Edge::After, 5)] {
        let mut numbers = Guarded::new(Placement { edge, offset: 2 }, &[1.0f32, 2.0, 3.0]);
        assert!(numbers[..] == [1.0, 2.0, 3.0] && numbers.is_intact());
        numbers.memory[at] = 0.0;
        assert!(!numbers.is_intact());
    }
}
