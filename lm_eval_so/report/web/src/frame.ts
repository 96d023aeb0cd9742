/** The size of the window, and what is done with the page. */
import { signal } from '@preact/signals'

export interface Frame {
  /** The element that scrolls. */
  scroller: HTMLElement | null
  narrow: boolean
  width: number
  height: number
  /** The height of what stays on top while the rest is scrolled, in pixels. */
  covered: number
  /** Where the table begins in the scroller, in pixels. */
  above: number
  printing: boolean
}

/** Below this width in pixels a row is a card. */
export const NARROW = 720

export const frame = signal<Frame>({
  scroller: null,
  narrow: false,
  width: 0,
  height: 0,
  covered: 0,
  above: 0,
  printing: false,
})

/** Follows the window. Returns what ends it. */
export function watchFrame(scroller: HTMLElement): () => void {
  const update = () => {
    const bar = scroller.querySelector<HTMLElement>('.bar')
    const { clientWidth: width, clientHeight: height } = scroller
    const covered = bar && getComputedStyle(bar).position === 'sticky' ? bar.offsetHeight : 0
    scroller.style.setProperty('--width', `${width}px`)
    scroller.style.setProperty('--covered', `${covered}px`)
    const above = scroller.querySelector<HTMLElement>('#grid')?.offsetTop ?? 0
    const next = { scroller, width, height, narrow: width < NARROW, covered, above }
    const before = frame.peek()
    const changed = (Object.keys(next) as (keyof typeof next)[]).some((k) => before[k] !== next[k])
    if (changed) frame.value = { ...before, ...next }
  }
  const observer = new ResizeObserver(update)
  observer.observe(scroller)
  for (const element of scroller.querySelectorAll('.top, .bar')) observer.observe(element)
  update()
  const print = () => {
    frame.value = { ...frame.peek(), printing: true }
  }
  const printed = () => {
    frame.value = { ...frame.peek(), printing: false }
  }
  window.addEventListener('beforeprint', print)
  window.addEventListener('afterprint', printed)
  return () => {
    observer.disconnect()
    window.removeEventListener('beforeprint', print)
    window.removeEventListener('afterprint', printed)
  }
}
