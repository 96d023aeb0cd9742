/** Rows on the screen: those that are decoded at once, the others as soon as they are. */
import { signal } from '@preact/signals'
import { board, source } from '../state'
import type { Row } from './types'

/** Grows when a block that was wanted has come. */
const arrived = signal(0)
const wanted = new Map<string, number[]>()
let working = false

/** The row if its block is decoded. A component that reads it is drawn again when blocks come. */
export function decodedRow(row: number): Row | null {
  const [shown, from] = [board.value, source.value]
  if (!shown || !from || row < 0) return null
  const per = shown.manifest.block_rows
  const block = from.ready(Math.floor(row / per))
  if (!from.isFresh(Math.floor(row / per))) arrived.value
  return block?.[row % per] ?? null
}

/** Says which rows a part of the page shows. Blocks that were scrolled past are not decoded. */
export function want(part: 'drawer' | 'table', rows: Iterable<number>): void {
  const per = board.peek()?.manifest.block_rows ?? 1
  wanted.set(part, [...new Set([...rows].map((row) => Math.floor(row / per)))])
  if (!working) void work()
}

async function work(): Promise<void> {
  working = true
  const failed = new Set<number>()
  for (;;) {
    const from = source.peek()
    const open = [...(wanted.get('drawer') ?? []), ...(wanted.get('table') ?? [])]
    const next = open.find((block) => !from?.isFresh(block) && !failed.has(block))
    if (next === undefined || !from) break
    await from.block(next).catch(() => failed.add(next))
    arrived.value++
  }
  working = false
}
