/** All samples, side by side: only what is on the screen is drawn. */

import { useComputed, useSignal, useSignalEffect } from '@preact/signals'
import type { VirtualItem } from '@tanstack/virtual-core'
import type { CSSProperties } from 'preact'
import { useEffect } from 'preact/hooks'
import { decodedRow, want } from '../data/decoded'
import { matching } from '../filters/matching'
import { count } from '../format'
import { frame } from '../frame'
import { board, openRow, reference, shownCells, slotsOf } from '../state'
import { t } from '../text'
import { TableRow } from './row'
import {
  activate,
  active,
  cellColour,
  cellName,
  expanded,
  hasRepeats,
  referenceCell,
  tableCells,
} from './state'
import { useVirtualRows } from './virtual'

/** Heights in pixels; those of table.css. */
const ROW = 48
const REPEAT = 21
const CARD = 66
const CARD_ANSWER = 42

function rowHeight(row: number): number {
  const most = Math.max(...slotsOf.value.map((slots) => slots.length))
  const opened = expanded.value.has(row) ? most * REPEAT + 6 : 0
  if (!frame.value.narrow) return ROW + opened
  return CARD + tableCells.value.length * (CARD_ANSWER + opened)
}

function widths(expects: boolean, cells: number): CSSProperties {
  if (frame.value.narrow) return {}
  const least = 156 + 220 + (expects ? 130 : 0) + cells * 230
  return {
    '--columns': `156px minmax(220px, 1.1fr) ${expects ? 'minmax(130px, 0.6fr) ' : ''}repeat(${cells}, minmax(230px, 1.25fr))`,
    minWidth: `${least}px`,
  } as CSSProperties
}

function CellHeader({ cell }: { cell: number }) {
  const isReference = referenceCell.value === cell
  return (
    <div role="columnheader" class="cell" style={{ '--colour': cellColour(cell) } as CSSProperties}>
      <span class="dot" />
      <bdi class="name" title={cellName(cell)}>
        {cellName(cell)}
      </bdi>
      {shownCells.value.length > 1 &&
        (isReference ? (
          <span class="is-reference">{t('reference')}</span>
        ) : (
          <button
            type="button"
            class="link make-reference"
            title={t('reference.make')}
            aria-label={`${t('reference.make')}: ${cellName(cell)}`}
            onClick={() => {
              reference.value = cell
            }}
          >
            {t('reference.short')}
          </button>
        ))}
    </div>
  )
}

function Header({ expects }: { expects: boolean }) {
  return (
    <div role="row" class="head" aria-rowindex={1}>
      <div role="columnheader" class="cell">
        {t('column.sample')}
      </div>
      <div role="columnheader" class="cell">
        {t('column.question')}
      </div>
      {expects && (
        <div role="columnheader" class="cell">
          {t('column.expected')}
        </div>
      )}
      {tableCells.value.map((cell) => (
        <CellHeader key={cell} cell={cell} />
      ))}
    </div>
  )
}

/** Whether samples have something expected: as far as the first rows tell. */
function useExpects(): boolean {
  const known = useSignal<boolean | null>(null)
  const expects = useComputed(() => {
    const rows = Math.min(50, board.value?.manifest.rows ?? 0)
    if (!decodedRow(0)) return known.peek() ?? true
    for (let row = 0; row < rows; row++) if (decodedRow(row)?.expected !== undefined) return true
    return false
  })
  known.value = expects.value
  return expects.value
}

/** Rows of a printed page. */
const PRINTED = 300

function printed(rows: Uint32Array): VirtualItem[] {
  const at = { start: 0, end: 0, size: 0, lane: 0 }
  return Array.from(rows.subarray(0, PRINTED), (_, index) => ({ ...at, key: index, index }))
}

export function Table() {
  const rows = matching.value
  const expects = useExpects()
  const { scroller, narrow, covered, above, printing } = frame.value
  const head = narrow ? 0 : 32
  const margin = above + head
  const virtual = useVirtualRows({
    count: rows.length,
    scroller,
    margin,
    covered: covered + head,
    height: (index) => rowHeight(rows[index] as number),
    revision: `${rows.length} ${expanded.value.size} ${narrow} ${tableCells.value.length}`,
  })
  const items = printing ? printed(rows) : virtual.items
  const first = items[0]?.index ?? 0
  const last = items.at(-1)?.index ?? -1
  useEffect(() => {
    want('table', [0, ...rows.slice(first, last + 1)])
  }, [rows, first, last, board.value])
  useSignalEffect(() => {
    const at = active.value
    if (at > 0 || (frame.peek().scroller?.scrollTop ?? 0) > 0) virtual.show(at)
  })
  useSignalEffect(() => {
    const at = matching.value.indexOf(openRow.value)
    if (at >= 0) activate(at)
  })
  return (
    <div
      id="grid"
      role="grid"
      aria-label={t('view.table')}
      aria-rowcount={rows.length + 1}
      aria-activedescendant={rows.length > 0 ? `row-${active.value}` : undefined}
      tabIndex={0}
      class={`${hasRepeats.value ? 'grid repeated' : 'grid'}${printing ? ' printing' : ''}`}
      style={widths(expects, tableCells.value.length)}
    >
      <Header expects={expects} />
      {rows.length === 0 && (
        <div role="row" class="nothing">
          <div role="gridcell">{t('nothing')}</div>
        </div>
      )}
      <div role="rowgroup" class="rows" style={{ height: `${virtual.total}px` }}>
        {items.map((item) => (
          <TableRow
            key={item.key}
            item={item}
            number={rows[item.index] as number}
            margin={margin}
            expects={expects}
          />
        ))}
      </div>
      <p class="sr" aria-live="polite">
        {t('shown', { n: count(rows.length), of: count(board.value?.manifest.rows ?? 0) })}
      </p>
    </div>
  )
}
