// Exact sums in the browser: whole numbers of cents, never binary fractions. The rules are those of money.py.

/** Read a decimal text as a whole number of its last allowed digit, or null: parse("12.5", 2) is 1250n. */
export function parse(text, decimals) {
  const match = /^(\d{1,7})(?:\.(\d*))?$/.exec(String(text).trim().replace(",", "."));
  if (match === null) return null;
  const fraction = (match[2] ?? "").replace(/0+$/, "");
  return fraction.length > decimals ? null : BigInt(match[1] + fraction.padEnd(decimals, "0"));
}

/** Quantity (3 decimals) times price (2 decimals), rounded to cents, half a cent up; null if one cannot be read. */
export function lineCents({ quantity, unit_price }) {
  const thousandths = parse(quantity, 3);
  const cents = parse(unit_price, 2);
  return thousandths === null || cents === null ? null : (thousandths * cents + 500n) / 1000n;
}

/** What all lines come to that can be read. */
export const totalCents = (lines) => lines.reduce((sum, line) => sum + (lineCents(line) ?? 0n), 0n);

/** 1250n as "12.50": the form in which the server says it. */
export function fromCents(cents) {
  const digits = cents.toString().padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** "12.500" as "12.5", for the eye. */
export const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

/** The text for the API: a decimal comma is understood as well. */
export const plain = (text) => String(text).trim().replace(",", ".");
