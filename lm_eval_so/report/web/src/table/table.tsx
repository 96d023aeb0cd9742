/** All samples, side by side: only what is on the screen is drawn. */

import { useComputed, useSignal, useSignalEffect } from '@preact/signals'
import type { CSSProperties, VNode } from 'preact'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { CellName, cellName } from '../cell_names'
import { decodedRow, want } from '../data/decoded'
import { matching } from '../filters/matching'
import { count } from '../format'
import { frame } from '../frame'
import { board, openRow, reference, shownCells, slotsOf } from '../state'
import { t } from '../text'
import { type Item, Places } from './places'
import { TableRow } from './row'
import {
  activate,
  active,
  cellColour,
  expanded,
  hasRepeats,
  referenceCell,
  tableCells,
} from './state'
import { show, useVirtualRows } from './virtual'

/** Heights in pixels; those of table.css. */
const ROW = 44
const HEAD = 44
const REPEAT = 21
const CARD = 66
const CARD_ANSWER = 42

/** Where the rows of the table stand. */
function usePlaces(rows: Uint32Array, narrow: boolean): Places {
  const opened = expanded.value
  const cells = tableCells.value.length
  return useMemo(() => {
    const more = new Map<number, number>()
    const most = Math.max(...slotsOf.peek().map((slots) => slots.length))
    for (const row of opened) {
      const index = rows.indexOf(row)
      if (index >= 0) more.set(index, (most * REPEAT + 6) * (narrow ? cells : 1))
    }
    return new Places(rows.length, narrow ? CARD + cells * CARD_ANSWER : ROW, more)
  }, [rows, opened, narrow, cells])
}

/** Paper does not scroll: all columns share its width. */
function onPaper(expects: boolean, cells: number): CSSProperties {
  const part = (share: number) => `minmax(0, ${share}fr)`
  return {
    '--columns': `${part(0.7)} ${part(1.1)} ${expects ? part(0.6) : ''} repeat(${cells}, ${part(1.25)})`,
  } as CSSProperties
}

function widths(expects: boolean, cells: number): CSSProperties {
  if (frame.value.printing) return onPaper(expects, cells)
  if (frame.value.narrow) return {}
  const least = 150 + 210 + (expects ? 120 : 0) + cells * 210
  return {
    '--columns': `150px minmax(210px, 1.1fr) ${expects ? 'minmax(120px, 0.6fr) ' : ''}repeat(${cells}, minmax(210px, 1.25fr))`,
    minWidth: `${least}px`,
  } as CSSProperties
}

function CellHeader({ cell }: { cell: number }) {
  const isReference = referenceCell.value === cell
  return (
    <div role="columnheader" class="cell" style={{ '--colour': cellColour(cell) } as CSSProperties}>
      <span class="dot" />
      <CellName cell={cell} />
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

/** Rows that are drawn and remembered. */
const MOST_KEPT = 300

/** Rows of a printed page. */
const PRINTED = 300

function printed(rows: Uint32Array): Item[] {
  return Array.from(rows.subarray(0, PRINTED), (_, index) => ({ index, start: 0, size: 0 }))
}

/** Draws a row anew only where it changed: Preact leaves alone what it is given twice. */
function useDrawnRows() {
  const kept = useRef(new Map<number, { of: string; node: VNode }>())
  return (item: Item, number: number, expects: boolean): VNode => {
    const of = `${number} ${item.start} ${item.size} ${expects}`
    const found = kept.current.get(item.index)
    if (found?.of === of) return found.node
    const node = <TableRow key={item.index} item={item} number={number} expects={expects} />
    if (kept.current.size > MOST_KEPT) kept.current.clear()
    kept.current.set(item.index, { of, node })
    return node
  }
}

export function Table() {
  const drawn = useDrawnRows()
  const rows = matching.value
  const expects = useExpects()
  const { scroller, narrow, height, covered, above, printing } = frame.value
  const head = narrow ? 0 : HEAD
  const virtual = useVirtualRows({
    places: usePlaces(rows, narrow),
    scroller,
    view: height,
    margin: above + head,
    covered: covered + head,
  })
  const items = printing ? printed(rows) : virtual.items
  const first = items[0]?.index ?? 0
  const last = items.at(-1)?.index ?? -1
  const isDrawn = items.some((item) => item.index === active.value)
  useEffect(() => activate(active.peek()), [rows])
  useEffect(() => {
    want('table', [0, ...rows.slice(first, last + 1)])
  }, [rows, first, last, board.value])
  useSignalEffect(() => {
    const at = active.value
    if (at > 0 || (frame.peek().scroller?.scrollTop ?? 0) > 0) show(at)
  })
  useSignalEffect(() => {
    const at = matching.value.indexOf(openRow.value)
    if (at >= 0) activate(at)
  })
  return (
    <>
      <div
        id="grid"
        role="grid"
        aria-label={t('view.table')}
        aria-rowcount={rows.length + 1}
        aria-activedescendant={isDrawn ? `row-${active.value}` : undefined}
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
          {items.map((item) => drawn(item, rows[item.index] as number, expects))}
        </div>
      </div>
      {printing && rows.length > PRINTED && (
        <p class="nothing">{t('printed', { n: count(PRINTED), of: count(rows.length) })}</p>
      )}
      <p class="sr" aria-live="polite">
        {t('shown', { n: count(rows.length), of: count(board.value?.manifest.rows ?? 0) })}
      </p>
    </>
  )
}
