/**
 * Whether bytes that are valid CP949 are Korean, or Latin-1 that happens to be valid: `(°C)` is `(캜)`, `it’s` is `it뭩`, `AÇÃO` is `A플O`.
 *
 * Korean is written in runs of characters that are nearly all of KS X 1001, whose second byte is not ASCII. Latin-1 has single characters
 * beyond ASCII, which take the letter behind them for a second byte; that pair is a syllable which KS X 1001 lacks. Where two stand
 * together they are within a word of letters.
 */
export class KoreanEvidence {
  #korean = 0;
  #latin = 0;
  /** The first byte of a pair whose second is yet to come. */
  #lead = 0;
  /** The byte before the run that is being read. */
  #before = 0;
  /** Pairs of that run by their second byte, and the first byte of the last of those of KS X 1001. */
  #known = 0;
  #letters = 0;
  #others = 0;
  #knownLead = 0;

  /** Only bytes that are CP949. */
  add(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (this.#lead !== 0) this.#pair(byte);
      else if (byte >= 0x80) this.#lead = byte;
      else {
        if (this.#known + this.#letters + this.#others > 0) this.#endRun(byte);
        this.#before = byte;
      }
    }
  }

  #pair(trail: number): void {
    if (trail < 0x80) this.#letters++;
    else if (trail < 0xa1 || this.#lead < 0xa1) this.#others++;
    else {
      this.#known++;
      this.#knownLead = this.#lead;
    }
    this.#lead = 0;
  }

  #endRun(behind: number): void {
    const alone = this.#known === 1 && this.#letters + this.#others === 0;
    // Signs of KS X 1001 come before its syllables, and may stand between letters.
    if (alone && this.#knownLead >= FIRST_SYLLABLE && isLetter(this.#before) && isLetter(behind)) this.#latin++;
    else if (this.#known > 0) this.#korean += this.#known;
    else this.#latin += this.#letters;
    this.#known = 0;
    this.#letters = 0;
    this.#others = 0;
  }

  /** Of everything up to here. A few rare syllables that stand alone are no reason against Korean that is there beside them. */
  get isKorean(): boolean {
    if (this.#known + this.#letters + this.#others > 0) this.#endRun(0);
    return this.#korean * MOST_RARE >= this.#latin;
  }
}

const FIRST_SYLLABLE = 0xb0;
const MOST_RARE = 4;

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}
