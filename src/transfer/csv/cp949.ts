/**
 * CP949, which Korean Windows calls ANSI: EUC-KR with the 8,822 syllables that KS X 1001 lacks. Node's decoder knows only the 2,350 of
 * EUC-KR. The others stand in Unicode's order in the free cells (Unicode, CP949.TXT): leads 81–A0 with every trail, then A1–C6 with
 * trails below A1.
 */

/** One decoder for one text, fed in pieces. Null for bytes that are no CP949. */
export class Cp949Decoder {
  #lead = 0;

  decode(chunk: Uint8Array): string | null {
    const units = new Uint16Array(chunk.length + 1);
    const cells = (table ??= makeTable());
    let count = 0;
    for (const byte of chunk) {
      if (this.#lead !== 0) {
        const unit = cells[(this.#lead << 8) | byte]!;
        if (unit === 0) return null;
        units[count++] = unit;
        this.#lead = 0;
      } else if (byte < 0x80) units[count++] = byte;
      else if (byte === 0x80 || byte === 0xff) return null;
      else this.#lead = byte;
    }
    return utf16.decode(units.subarray(0, count));
  }

  /** Did the text end inside a character? */
  get cut(): boolean {
    return this.#lead !== 0;
  }
}

const utf16 = new TextDecoder('utf-16le', { ignoreBOM: true });
let table: Uint16Array | null = null;

function makeTable(): Uint16Array {
  const cells = new Uint16Array(65_536);
  const decoder = new TextDecoder('euc-kr');
  const known = new Set<number>();
  for (let lead = 0xa1; lead <= 0xfe; lead++) {
    for (let trail = 0xa1; trail <= 0xfe; trail++) {
      const text = decoder.decode(Uint8Array.of(lead, trail));
      if (text.length !== 1 || text === '\ufffd') continue;
      cells[(lead << 8) | trail] = text.charCodeAt(0);
      known.add(text.charCodeAt(0));
    }
  }
  // Added to KS X 1001 in 1998, after the decoder's table.
  cells[0xa2e6] = 0x20ac;
  cells[0xa2e7] = 0xae;
  const trails = Array.from({ length: 0xff }, (_, k) => k).filter((k) => (k >= 0x41 && k <= 0x5a) || (k >= 0x61 && k <= 0x7a) || k >= 0x81);
  let lead = 0x81;
  let at = 0;
  for (let syllable = 0xac00; syllable <= 0xd7a3; syllable++) {
    if (known.has(syllable)) continue;
    cells[(lead << 8) | trails[at++]!] = syllable;
    if (at === trails.length || (lead >= 0xa1 && trails[at]! > 0xa0)) {
      lead++;
      at = 0;
    }
  }
  return cells;
}
