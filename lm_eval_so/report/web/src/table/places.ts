/** Where the rows of a long list stand, in pixels: all are equally high but for a few. */

export interface Item {
  index: number
  start: number
  size: number
}

/** Browsers draw nothing that is much higher: Firefox stops at 17.8 million pixels. */
export const HIGHEST = 12_000_000

export class Places {
  /** Height of all rows. */
  readonly total: number
  /** Indices of the higher rows, rising, and by how much they and those before them are. */
  private readonly higher: readonly number[]
  private readonly raised: readonly number[]

  /** `more`: by how much a row is higher than `height`, by its index. */
  constructor(
    readonly count: number,
    private readonly height: number,
    more: ReadonlyMap<number, number> = new Map(),
  ) {
    this.higher = [...more.keys()].sort((a, b) => a - b)
    let sum = 0
    this.raised = this.higher.map((index) => {
      sum += more.get(index) ?? 0
      return sum
    })
    this.total = count * height + sum
  }

  start(index: number): number {
    const before = this.higher.findLastIndex((one) => one < index)
    return index * this.height + (this.raised[before] ?? 0)
  }

  /** The row at a place; the nearest where there is none. */
  at(place: number): number {
    let index = Math.floor(place / this.height)
    // Each higher row before it moves it up; there are few.
    for (let nth = this.higher.length - 1; nth >= 0; nth--) {
      const higher = this.higher[nth] as number
      if (place < this.start(higher)) continue
      const after = place - this.start(higher + 1)
      index = after < 0 ? higher : higher + 1 + Math.floor(after / this.height)
      break
    }
    if (index < 0 || this.count === 0) return 0
    return Math.min(index, this.count - 1)
  }

  item(index: number): Item {
    const start = this.start(index)
    return { index, start, size: this.start(index + 1) - start }
  }
}

/** A list in an element that is less high where a browser could not draw it: it scrolls faster. */
export class Scale {
  readonly drawn: number
  private readonly faster: number

  /** `total`: height of the list; `view`: of what is seen of it. */
  constructor(total: number, view: number) {
    this.drawn = Math.min(total, HIGHEST)
    this.faster = this.drawn > view ? (total - view) / (this.drawn - view) : 1
  }

  /** Place in the list of a place in the element. */
  listed(top: number): number {
    return top <= 0 ? top : top * this.faster
  }

  /** Place in the element of a place in the list. */
  placed(top: number): number {
    return top <= 0 ? top : top / this.faster
  }
}
