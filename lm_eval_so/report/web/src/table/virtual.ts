/** Which rows of the table are on the screen. */
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type VirtualItem,
  Virtualizer,
  type VirtualizerOptions,
} from '@tanstack/virtual-core'
import { useLayoutEffect, useReducer, useRef } from 'preact/hooks'

type Rows = Virtualizer<HTMLElement, HTMLElement>

interface Wanted {
  count: number
  scroller: HTMLElement | null
  /** Where the first row begins in the scroller, in pixels. */
  margin: number
  /** What stays above the rows while they are scrolled, in pixels. */
  covered: number
  /** The height of a row in pixels. */
  height: (index: number) => number
  /** Changes whenever heights or rows do. */
  revision: unknown
}

/** The rows to draw, the height of all, and a way to bring a row into sight. */
export function useVirtualRows(wanted: Wanted): {
  items: VirtualItem[]
  total: number
  show: (index: number) => void
} {
  const [, redraw] = useReducer((n: number) => n + 1, 0)
  const options: VirtualizerOptions<HTMLElement, HTMLElement> = {
    count: wanted.count,
    getScrollElement: () => wanted.scroller,
    estimateSize: wanted.height,
    scrollMargin: wanted.margin,
    scrollPaddingStart: wanted.covered,
    scrollPaddingEnd: 8,
    overscan: 6,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => redraw(0),
  }
  const kept = useRef<Rows | null>(null)
  kept.current ??= new Virtualizer(options)
  const rows = kept.current
  rows.setOptions(options)
  const measured = useRef(wanted.revision)
  if (measured.current !== wanted.revision) {
    measured.current = wanted.revision
    rows.measure()
  }
  useLayoutEffect(() => rows._didMount(), [rows])
  useLayoutEffect(() => rows._willUpdate())
  return {
    items: rows.getVirtualItems(),
    total: rows.getTotalSize(),
    show: (index) => rows.scrollToIndex(index, { align: 'auto' }),
  }
}
