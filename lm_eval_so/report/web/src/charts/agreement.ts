/** How often cells give the same answer. */
import { type Columns, NO_ANSWER } from '../data/columns'

export interface Agreement {
  /** Mean over the rows of the share of equal pairs, from 0 to 1; NaN without a row. */
  share: number
  /** Rows with at least one pair of answers. */
  rows: number
}

/**
 * The answers of two cells, row by row; of a cell with itself, its repeats. Each row counts once,
 * with the share of its pairs that are equal: 0 or 1 where no question was repeated.
 */
export function agreement(
  columns: Columns,
  rows: Uint32Array,
  one: readonly number[],
  other: readonly number[],
): Agreement {
  const itself = one === other
  let sum = 0
  let counted = 0
  for (const row of rows) {
    let pairs = 0
    let equal = 0
    for (let i = 0; i < one.length; i++) {
      const answer = columns.answer[(one[i] as number) * columns.rows + row] as number
      if (answer === NO_ANSWER) continue
      for (let j = itself ? i + 1 : 0; j < other.length; j++) {
        const second = columns.answer[(other[j] as number) * columns.rows + row] as number
        if (second === NO_ANSWER) continue
        pairs++
        if (answer === second) equal++
      }
    }
    if (pairs > 0) {
      sum += equal / pairs
      counted++
    }
  }
  return { share: counted > 0 ? sum / counted : NaN, rows: counted }
}

/** All pairs of cells, `[i][j]`; symmetric. */
export function agreementMatrix(
  columns: Columns,
  rows: Uint32Array,
  slotsOf: readonly (readonly number[])[],
): Agreement[][] {
  const found: Agreement[][] = slotsOf.map(() => [])
  slotsOf.forEach((one, i) => {
    for (let j = i; j < slotsOf.length; j++) {
      const pair = agreement(columns, rows, one, slotsOf[j] as readonly number[])
      ;(found[i] as Agreement[])[j] = pair
      ;(found[j] as Agreement[])[i] = pair
    }
  })
  return found
}
