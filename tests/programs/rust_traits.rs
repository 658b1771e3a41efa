//! Rust: trait objects, closures and iterators, formatting, checked arithmetic; ends in a panic, whose
//! handler makes the exit code.
#![no_std]
#![no_main]

use core::cell::Cell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

unsafe extern "C" {
    fn check_line(line: u32, holds: i32);
    fn verdict() -> i32;
    fn exit(code: i32) -> !;
}

macro_rules! check {
    ($condition:expr) => {
        unsafe { check_line(line!(), ($condition) as i32) }
    };
}

const ROUNDS: u32 = 40;
const NUMBERS: usize = 160;

/// Set right before the panic that is meant.
static PANIC_EXPECTED: AtomicU32 = AtomicU32::new(0);

// Instruments behind trait objects; some of them hold others.

trait Instrument {
    fn sample(&self, time: u32) -> Result<u32, Fault>;
    fn name(&self) -> &'static str {
        "instrument"
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Offline { since: u32 },
    Overflow,
    Parse(char),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Offline { since } => write!(f, "offline since {since}"),
            Fault::Overflow => f.write_str("overflow"),
            Fault::Parse(c) => write!(f, "not a digit: {c:?}"),
        }
    }
}

struct Ramp {
    slope: u32,
}
struct Noise {
    state: Cell<u32>,
}
struct Flaky<'a> {
    inner: &'a dyn Instrument,
    fails_every: u32,
}
struct Product<'a>(&'a dyn Instrument, &'a dyn Instrument);

impl Instrument for Ramp {
    fn sample(&self, time: u32) -> Result<u32, Fault> {
        self.slope.checked_mul(time).ok_or(Fault::Overflow)
    }
    fn name(&self) -> &'static str {
        "ramp"
    }
}

impl Instrument for Noise {
    fn sample(&self, _: u32) -> Result<u32, Fault> {
        let next = self.state.get().wrapping_mul(1664525).wrapping_add(1013904223);
        self.state.set(next);
        Ok(next >> 20)
    }
}

impl Instrument for Flaky<'_> {
    fn sample(&self, time: u32) -> Result<u32, Fault> {
        if time % self.fails_every == self.fails_every - 1 {
            return Err(Fault::Offline { since: time });
        }
        self.inner.sample(time)
    }
    fn name(&self) -> &'static str {
        self.inner.name()
    }
}

impl Instrument for Product<'_> {
    fn sample(&self, time: u32) -> Result<u32, Fault> {
        let (a, b) = (self.0.sample(time)?, self.1.sample(time)?);
        a.checked_mul(b).ok_or(Fault::Overflow)
    }
}

fn instruments() {
    let ramp = Ramp { slope: 3 };
    let steep = Ramp { slope: 400_000_000 };
    let noise = Noise { state: Cell::new(1) };
    let flaky = Flaky { inner: &ramp, fails_every: 5 };
    let product = Product(&flaky, &steep);
    let all: [&dyn Instrument; 5] = [&ramp, &steep, &noise, &flaky, &product];
    let (mut sum, mut offline, mut overflow) = (0u64, 0, 0);
    for time in 0..ROUNDS {
        for instrument in all {
            match instrument.sample(time) {
                Ok(value) => sum += u64::from(value),
                Err(Fault::Offline { .. }) => offline += 1,
                Err(_) => overflow += 1,
            }
        }
    }
    check!(sum > u64::from(ROUNDS));
    check!(offline == 2 * (ROUNDS / 5));
    // `steep` from time 11 on; `product` at times above 0, unless it is offline.
    check!(overflow == (ROUNDS - 11) + product_overflows());
    check!(all.iter().filter(|i| i.name() == "ramp").count() == 3);
}

/// 1_200_000_000 t² fits in 32 bits for t = 1 alone.
fn product_overflows() -> u32 {
    (2..ROUNDS).filter(|t| t % 5 != 4).count() as u32
}

// Iterators and closures.

struct Collatz(u32);
impl Iterator for Collatz {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        let n = self.0;
        self.0 = match n {
            0 => return None,
            1 => 0,
            n if n % 2 == 0 => n / 2,
            n => 3 * n + 1,
        };
        Some(n)
    }
}

fn apply(steps: &[&dyn Fn(u32) -> u32], value: u32) -> u32 {
    steps.iter().fold(value, |v, step| step(v))
}

fn iterators() {
    let longest = (1..30).map(|n| (Collatz(n).count(), n)).max();
    check!(longest == Some((112, 27)));
    let odd: u32 = Collatz(27).filter(|n| n % 2 == 1).map(|n| n & 0xff).sum();
    let again = Collatz(27).fold(0, |sum, n| if n & 1 == 1 { sum + n % 256 } else { sum });
    check!(odd == again);

    let mut numbers = [0u32; NUMBERS];
    let mut state = 7u32;
    for n in numbers.iter_mut() {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        *n = state >> 16;
    }
    let sum: u32 = numbers.iter().sum();
    numbers.sort_unstable_by_key(|n| core::cmp::Reverse(*n));
    check!(numbers.windows(2).all(|w| w[0] >= w[1]));
    numbers.sort_unstable();
    check!(numbers.is_sorted() && numbers.iter().sum::<u32>() == sum);
    check!(numbers.binary_search(&numbers[NUMBERS / 3]).is_ok());
    check!(numbers.iter().rev().zip(&numbers).all(|(a, b)| *a >= *b || numbers.contains(a)));

    let offset = numbers[0];
    let add = move |v: u32| v.wrapping_add(offset);
    let triple = |v: u32| v.wrapping_mul(3);
    check!(apply(&[&add, &triple, &add], 1) == 3 * (1 + offset) + offset);
}

// Text without a heap.

struct Line {
    bytes: [u8; 96],
    length: usize,
}

impl Line {
    const fn new() -> Self {
        Line { bytes: [0; 96], length: 0 }
    }
    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or("not UTF-8")
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

fn parse(text: &str) -> Result<u32, Fault> {
    text.chars().try_fold(0u32, |value, c| {
        let digit = c.to_digit(10).ok_or(Fault::Parse(c))?;
        value.checked_mul(10).and_then(|v| v.checked_add(digit)).ok_or(Fault::Overflow)
    })
}

fn texts() -> fmt::Result {
    let mut line = Line::new();
    write!(line, "{:>5}|{:<4}|{:#x}|{:08b}|{:+}|{:?}", 42, "ab", 0xbeefu32, 37, -7i64, Some(1))?;
    check!(line.text() == "   42|ab  |0xbeef|00100101|-7|Some(1)");
    let mut line = Line::new();
    write!(line, "{}; {}; {:?}", Fault::Offline { since: 9 }, Fault::Parse('x'), Fault::Overflow)?;
    check!(line.text() == "offline since 9; not a digit: 'x'; Overflow");
    check!(write!(line, "{:100}", 1).is_err());

    check!(parse("4294967295") == Ok(u32::MAX));
    check!(parse("4294967296") == Err(Fault::Overflow));
    check!(parse("12a") == Err(Fault::Parse('a')));
    let words = "one two  three\tfour";
    check!(words.split_whitespace().map(str::len).sum::<usize>() == 15);
    check!(words.split_whitespace().rev().next().is_some_and(|w| w.ends_with("our")));
    Ok(())
}

/// Out of bounds for an `at` that the compiler does not know.
#[inline(never)]
fn element(numbers: &[u32], at: usize) -> u32 {
    numbers[at]
}

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    instruments();
    iterators();
    check!(texts().is_ok());
    PANIC_EXPECTED.store(1, Ordering::Relaxed);
    let beyond = PANIC_EXPECTED.load(Ordering::Relaxed) as usize * 3;
    element(&[1, 2, 3], beyond) as i32 | 1 // never returns
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut line = Line::new();
    let written = write!(line, "{}", info.message()).is_ok();
    let meant = PANIC_EXPECTED.swap(0, Ordering::Relaxed) == 1;
    check!(written && meant);
    check!(line.text() == "index out of bounds: the len is 3 but the index is 3");
    check!(info.location().is_some_and(|place| place.file().ends_with("rust_traits.rs")));
    unsafe { exit(verdict()) }
}
