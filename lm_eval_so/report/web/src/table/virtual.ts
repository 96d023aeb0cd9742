/** Which rows of the table are on the screen. */
import { useLayoutEffect, useReducer, useRef } from 'preact/hooks'
import { type Item, type Places, Scale } from './places'

/** Rows that are drawn above and below what is seen. */
const SPARE = 5
/** Between the row that is brought into sight and the end of the window, in pixels. */
const BELOW = 8

interface Wanted {
  places: Places
  scroller: HTMLElement | null
  /** Height of the window in pixels. */
  view: number
  /** Where the first row begins in the scroller, in pixels. */
  margin: number
  /** What stays above the rows while they are scrolled, in pixels. */
  covered: number
}

interface Seen {
  first: number
  last: number
  /** By how much rows are drawn above their place in the list, in pixels. */
  lifted: number
}

function seen({ places, scroller, view, margin }: Wanted): Seen {
  const scale = new Scale(places.total, view)
  const top = (scroller?.scrollTop ?? 0) - margin
  const listed = scale.listed(top)
  return {
    first: Math.max(0, places.at(listed) - SPARE),
    last: Math.min(places.count - 1, places.at(listed + view) + SPARE),
    lifted: listed - top,
  }
}

/** The table on the screen: what is in sight follows from its place, also before it is drawn. */
let onScreen: Wanted | null = null

/** The part of the list that is in sight, below what covers it. */
function sight({ places, scroller, view, margin, covered }: Wanted): [number, number] {
  const scale = new Scale(places.total, view)
  const from = scale.listed((scroller?.scrollTop ?? 0) - margin)
  return [from + covered, from + view]
}

export function isInSight(index: number): boolean {
  if (!onScreen) return false
  const [from, to] = sight(onScreen)
  const { start, size } = onScreen.places.item(index)
  return start + size > from && start < to
}

export function firstInSight(): number {
  return onScreen ? onScreen.places.at(sight(onScreen)[0]) : 0
}

/** Scrolls where the row is not in sight as a whole. */
export function show(index: number): void {
  if (!onScreen?.scroller || index >= onScreen.places.count) return
  const { places, scroller, view, margin, covered } = onScreen
  const scale = new Scale(places.total, view)
  const { start, size } = places.item(index)
  const from = scale.listed(scroller.scrollTop - margin)
  const above = start - covered
  const below = start + size + BELOW - view
  const top = from > above ? above : from < below ? below : null
  if (top !== null) scroller.scrollTo({ top: scale.placed(top) + margin })
}

/** The rows to draw, and the height of all. */
export function useVirtualRows(wanted: Wanted): {
  items: Item[]
  total: number
} {
  const [, redraw] = useReducer((n: number) => n + 1, 0)
  const now = seen(wanted)
  const drawn = useRef({ wanted, now })
  drawn.current = { wanted, now }
  onScreen = wanted
  const { scroller } = wanted
  useLayoutEffect(() => {
    const onScroll = () => {
      const { wanted, now } = drawn.current
      const next = seen(wanted)
      if (next.first !== now.first || next.last !== now.last || next.lifted !== now.lifted) {
        redraw(0)
      }
    }
    scroller?.addEventListener('scroll', onScroll, { passive: true })
    return () => scroller?.removeEventListener('scroll', onScroll)
  }, [scroller])
  const items = []
  for (let index = now.first; index <= now.last; index++) {
    const item = wanted.places.item(index)
    items.push({ ...item, start: item.start - now.lifted })
  }
  return {
    items,
    total: new Scale(wanted.places.total, wanted.view).drawn,
  }
}
