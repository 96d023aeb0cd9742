/** What all cells of a page add up to, for the line at its top. */
import { type Spans, spansOf, timelineOf } from '../charts/timeline'
import type { Board } from '../data/source'
import type { Cell, Manifest } from '../data/types'
import type { Figures } from './figures'

export type Outcome = 'complete' | 'partial' | 'invalid' | 'running'

const RANK: Outcome[] = ['complete', 'partial', 'invalid', 'running']

/** The verdict on a cell; one that did not end has none of its own. */
export function outcomeOf(cell: Cell): Outcome {
  if (cell.state === 'running') return 'running'
  const given = cell.verdict?.outcome
  if (given === 'complete' || given === 'invalid') return given
  return given === undefined && cell.state === 'complete' ? 'complete' : 'partial'
}

/** The worst of the cells; running as long as one is. */
export function worst(cells: readonly Cell[]): Outcome {
  return RANK[Math.max(0, ...cells.map((cell) => RANK.indexOf(outcomeOf(cell))))] as Outcome
}

export interface Counts {
  ok: number
  failed: number
  owed: number
  asked: number
}

export function countsOf(cells: readonly Cell[]): Counts {
  const sum = (value: (cell: Cell) => number) => cells.reduce((all, cell) => all + value(cell), 0)
  return {
    ok: sum((cell) => cell.counts.ok),
    failed: sum((cell) => cell.counts.failed),
    owed: sum((cell) => cell.counts.owed),
    asked: sum((cell) => cell.asked),
  }
}

/** Samples asked of one cell: the most, where the cells differ. */
export function samplesOf(cells: readonly Cell[], slotsOf: readonly number[][]): number {
  const each = cells.map((cell, index) => cell.asked / Math.max(1, slotsOf[index]?.length ?? 1))
  return Math.ceil(Math.max(0, ...each))
}

/** A sentence, and the names of the cells that it is true of. */
export interface Told {
  sentence: string
  cells: string[]
}

/** Sentences of the cells, each once. */
export function gathered(cells: readonly Cell[], of: (cell: Cell) => readonly string[]): Told[] {
  const found = new Map<string, string[]>()
  for (const cell of cells) {
    for (const sentence of of(cell)) {
      found.set(sentence, [...(found.get(sentence) ?? []), cell.name])
    }
  }
  return [...found].map(([sentence, names]) => ({ sentence, cells: names }))
}

export function reasonsOf(cell: Cell): string[] {
  const reasons = cell.verdict?.reasons ?? []
  return cell.reason && !reasons.includes(cell.reason) ? [cell.reason, ...reasons] : reasons
}

export function warningsOf(cell: Cell): string[] {
  const warnings = cell.verdict?.warnings
  return Array.isArray(warnings) ? warnings.filter((one) => typeof one === 'string') : []
}

/** What varies between the cells, and its values by first appearance. */
export function varying(cells: readonly Cell[]): { name: string; values: unknown[] }[] {
  const names = [...new Set(cells.flatMap((cell) => Object.keys(cell.settings)))]
  const kept = names.map((name) => {
    const values = new Map(
      cells.map(({ settings }) => {
        const value = Object.hasOwn(settings, name) ? settings[name] : undefined
        return [JSON.stringify(value ?? null), value]
      }),
    )
    return { name, values: [...values.values()] }
  })
  return cells.length > 1 ? kept.filter(({ values }) => values.length > 1) : []
}

export interface Spent {
  usd: number
  /** Answers whose cost is known. */
  known: number
}

export function spent(figures: readonly Figures[]): Spent | null {
  const known = figures.flatMap((one) => (one.cost ? [one.cost] : []))
  if (known.length === 0) return null
  return {
    usd: known.reduce((sum, one) => sum + one.usd, 0),
    known: known.reduce((sum, one) => sum + one.known, 0),
  }
}

/** Seconds in which something was under way; pauses between two commands are no part of it. */
export function workedFor({ manifest, columns }: Board, rows: Uint32Array): number {
  const slots = manifest.slots.map((_, slot) => slot)
  return timelineOf(manifest.sampled ? spansOfCells(manifest) : spansOf(columns, { rows, slots }))
    .busy
}

function spansOfCells({ cells }: Manifest): Spans {
  const ended = cells.filter((cell) => cell.ended_at !== null)
  return {
    starts: Float64Array.from(ended, (cell) => Date.parse(cell.started_at) / 1000),
    ends: Float64Array.from(ended, (cell) => Date.parse(cell.ended_at ?? '') / 1000),
  }
}
