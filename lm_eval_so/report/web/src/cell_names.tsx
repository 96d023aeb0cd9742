/** What cells are called where room is short: the values of what varies, the model first. */
import { computed } from '@preact/signals'
import type { Cell } from './data/types'
import { board } from './state'

const FIRST: readonly string[] = ['model', 'prompt', 'backend']
/** Values of these say what they are; others need their key. */
const CLEAR: readonly string[] = [...FIRST, 'dataset', 'variant']

function worded(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** "small · Answer in one sentence. · temperature=0.7"; empty where a cell has no value of its own. */
export function shortName(settings: Readonly<Record<string, unknown>>): string {
  const given = new Map(Object.entries(settings ?? {}))
  const keys = [...FIRST, ...[...given.keys()].filter((key) => !FIRST.includes(key))]
  const parts = keys.flatMap((key) => {
    const value = given.get(key)
    if (value === undefined || value === null || value === '') return []
    return [CLEAR.includes(key) ? worded(value) : `${key.replace(/^.*\./, '')}=${worded(value)}`]
  })
  return parts.join(' · ')
}

/** A name for each cell; the whole name where a short one would say nothing, or is of several. */
export function namesOf(cells: readonly Cell[]): string[] {
  const short = cells.map(({ settings }) => shortName(settings))
  return cells.map(({ name }, at) => {
    const own = short[at] as string
    return own === '' || short.indexOf(own) !== short.lastIndexOf(own) ? name : own
  })
}

const names = computed(() => namesOf(board.value?.manifest.cells ?? []))

export function cellName(cell: number): string {
  return names.value[cell] ?? ''
}

/** A line may end behind what parts a long name, such as meta-llama/Llama-3.1-8B-Instruct. */
const ENDS = /(?<=[/_:=.])(?=\S)/

export function CellName({ cell }: { cell: number }) {
  return (
    <bdi class="cell-name" title={board.value?.manifest.cells[cell]?.name}>
      {cellName(cell)
        .split(ENDS)
        .map((part, at) => [at > 0 && <wbr key={at} />, part])}
    </bdi>
  )
}
