/** What the results of one cell add up to, for its card. */
import { type Distribution, distribution, sorted } from '../charts/distribution'
import { answered, everyRow, total } from '../charts/picked'
import { type Columns, EMPTY, REFUSED, TRUNCATED } from '../data/columns'
import type { Cell } from '../data/types'

export interface Figures {
  /** Latencies of the answers in order, in ms; null where the page holds only some results. */
  latencies: Float64Array | null
  latency: Distribution | null
  firstToken: Distribution | null
  /** Characters of an answer. */
  length: Distribution | null
  input: number
  output: number
  cost: { usd: number; known: number } | null
  truncated: number
  refused: number
  empty: number
}

/** Of all results; they are all in the columns. */
export function figuresOf(columns: Columns, slots: readonly number[]): Figures {
  const picked = { rows: everyRow(columns.rows), slots }
  const values = (column: Float32Array | Uint32Array) => answered(columns, column, picked)
  const latencies = sorted(values(columns.latency))
  const cost = total(values(columns.cost))
  return {
    latencies,
    latency: distribution(latencies),
    firstToken: distribution(sorted(values(columns.first))),
    length: distribution(sorted(values(columns.length))),
    input: total(values(columns.input)).sum,
    output: total(values(columns.output)).sum,
    cost: cost.known > 0 ? { usd: cost.sum, known: cost.known } : null,
    ...flagged(columns, slots),
  }
}

/** Results with each flag. */
function flagged(columns: Columns, slots: readonly number[]) {
  const counts = { truncated: 0, refused: 0, empty: 0 }
  for (const slot of slots) {
    for (const flags of columns.flags.subarray(slot * columns.rows, (slot + 1) * columns.rows)) {
      if (flags & TRUNCATED) counts.truncated++
      if (flags & REFUSED) counts.refused++
      if (flags & EMPTY) counts.empty++
    }
  }
  return counts
}

/**
 * Of a page that holds only some results, which were chosen because they stand out: the run's own
 * summary, which counted all of them.
 */
export function figuresFromSummary(cell: Cell): Figures {
  const summary = cell.summary ?? {}
  const count = (name: string) => Number(summary[name] ?? 0)
  const tokens = (summary.tokens ?? {}) as Record<string, number>
  const usd = summary.cost_usd
  return {
    latencies: null,
    latency: told(summary.latency_ms, cell),
    firstToken: told(summary.time_to_first_token_ms, cell),
    length: null,
    input: tokens.input ?? 0,
    output: tokens.output ?? 0,
    cost: typeof usd === 'number' ? { usd, known: cell.counts.ok } : null,
    truncated: count('truncated'),
    refused: count('refused'),
    empty: count('empty'),
  }
}

function told(value: unknown, cell: Cell): Distribution | null {
  if (typeof value !== 'object' || value === null) return null
  return { ...(value as Omit<Distribution, 'count'>), count: cell.counts.ok }
}
