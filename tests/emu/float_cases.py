"""Operands for floating point, where it goes wrong: ends of the range, halfway, cancellation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.emu.float_oracle import Format

Slots = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Draw:
    """Random slots, `count` at a time, the same for the same seed."""

    rng: np.random.Generator
    count: int

    def bits(self, width: int) -> Slots:
        words = self.rng.integers(0, 1 << 64, self.count, dtype=np.uint64, endpoint=False)
        return words >> np.uint64(64 - width) if width else words * np.uint64(0)

    def one_of(self, *kinds: Slots) -> Slots:
        return np.choose(self.rng.integers(0, len(kinds), self.count), kinds)

    def among(self, values: list[int]) -> Slots:
        return self.rng.choice(np.array(values, np.uint64), self.count)

    def near(self, center: Slots, by: int, width: int) -> Slots:
        """Words of `width` bits, up to `by` away."""
        away = self.rng.integers(-by, by + 1, self.count).astype(np.uint64)
        return center + away & np.uint64((1 << width) - 1)

    def fractions(self, width: int) -> Slots:
        """Short ones and long runs; some bits, then just above, at or below a half of the rest."""
        mask = np.uint64((1 << width) - 1)
        cut = self.rng.integers(0, width + 1, self.count).astype(np.uint64)
        half = (np.uint64(1) << cut) >> np.uint64(1)
        cleared = self.bits(width) >> cut << cut
        halfway = self.near(cleared | half, 1, width)
        return self.one_of(self.bits(width), cleared, halfway, cleared | half, mask - cleared)

    def numbers(self, form: Format, near_fields: list[int]) -> Slots:
        """Slots with all kinds of numbers; many have an exponent field near one of those."""
        width, fraction = form.width, form.precision - 1
        top = 2 * form.emax + 1
        limits = [*range(4), *range(form.emax - 2, form.emax + 3), *range(top - 3, top + 1)]
        field = self.one_of(
            self.bits(width - 1 - fraction),
            self.among(limits),
            self.near(self.among(near_fields or [form.emax]), 3, width - 1 - fraction),
        )
        signs = self.bits(1) << np.uint64(width - 1)
        numbers = signs | field << np.uint64(fraction) | self.fractions(fraction)
        infinity, quiet = form.infinity, form.quiet
        nans = [infinity | 1, infinity | quiet, infinity | quiet | 5]
        ends = [0, 1, 2, (1 << fraction) - 1, 1 << fraction, infinity - 1, infinity]
        special = self.among(nans + ends)
        bits = np.where(self.rng.random(self.count) < 0.1, special | signs, numbers)
        return self.boxed(bits, form)

    def boxed(self, bits: Slots, form: Format) -> Slots:
        """Slots, a few with a bad box."""
        slots = bits | np.uint64((1 << 64) - (1 << form.width))
        if form.width == 64:
            return slots
        bad = np.uint64(1) << np.uint64(form.width) + self.bits(6) % np.uint64(64 - form.width)
        bad = self.one_of(bad, bits ^ slots)
        return np.where(self.rng.random(self.count) < 0.03, slots ^ bad, slots)

    def _with(self, form: Format, field: Slots, slots: Slots) -> Slots:
        """The slots with another exponent field."""
        fraction = np.uint64(form.precision - 1)
        exponents = np.uint64(form.infinity)
        return slots & ~exponents | field << fraction & exponents

    def _field(self, form: Format, slots: Slots) -> Slots:
        return (slots & np.uint64(form.infinity)) >> np.uint64(form.precision - 1)

    def partners(self, form: Format, a: Slots) -> Slots:
        """Second operands: of any kind; that nearly cancel; whose sum is halfway; whose product or
        quotient is near an end of the range.
        """
        other = self.numbers(form, [])
        own, bias, width = self._field(form, a), np.uint64(form.emax), form.width - form.precision
        ends = self.among([0, 1, form.emax, 2 * form.emax, 2 * form.emax + 1])
        precision = np.uint64(form.precision)
        sign = np.uint64(1 << form.width - 1)
        return self.one_of(
            other,
            self._with(form, self.near(own, 2, width), other),
            self._with(form, self.near(own - precision, 1, width), other),
            self.boxed(self.near(a, 2, form.width) ^ sign, form),
            self._with(form, self.near(ends + bias - own, 2, width), other),
            self._with(form, self.near(own + bias - ends, 2, width), other),
        )

    def addends(self, form: Format, a: Slots, b: Slots) -> Slots:
        """Third operands: of any kind; that nearly cancel the product, or lie just beyond it."""
        other = self.numbers(form, [])
        kind = {16: np.float16, 32: np.float32, 64: np.float64}[form.width]
        word = {16: np.uint16, 32: np.uint32, 64: np.uint64}[form.width]
        with np.errstate(all="ignore"):
            left, right = (each.astype(word).view(kind) for each in (a, b))
            product = (left * right).view(word).astype(np.uint64)
        width, precision = form.width - form.precision, np.uint64(form.precision)
        own = self._field(form, product)
        sign = np.uint64(1 << form.width - 1)
        return self.one_of(
            other,
            self.boxed(self.near(product, 1, form.width) ^ sign, form),
            self._with(form, self.near(own, 2, width), other),
            self._with(form, self.near(own + precision, 2, width), other),
            self._with(form, self.near(own - precision, 2, width), other),
        )

    def integers(self) -> Slots:
        """Of any length, many near a half of what is below their first bits."""
        length = self.rng.integers(1, 65, self.count).astype(np.uint64)
        words = self.fractions(63) << np.uint64(1) >> np.uint64(64) - length
        words = self.near(words, 1, 64)
        return self.one_of(words, ~words + np.uint64(1), self.bits(64), self.bits(32) << length)
