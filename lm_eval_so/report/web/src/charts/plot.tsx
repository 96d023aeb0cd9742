/** A uPlot as a component: made anew when what it shows changes, as wide as its place. */
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { locale } from '../text'
import { themeShown } from './colours'

/** What a chart shows; its width is that of its place. */
export interface Drawing {
  options: Omit<uPlot.Options, 'width'>
  data: uPlot.AlignedData
  /** Binds the plot to what changes while it stands. Returns what unbinds it. */
  bind?: (u: uPlot) => () => void
}

/** What stands under the pointer. */
export interface Hit {
  /** Into the data. */
  index: number
  series: number
}

interface Props {
  label: string
  /** Reads the colours of the theme, so it is called again when that changes. */
  draw: () => Drawing
  tip?: (hit: Hit) => string
  onPick?: (hit: Hit) => void
}

/** How near a dot the pointer must be, in pixels. */
const REACH = 14

export function Plot({ label, draw, tip, onPick }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const bubble = useRef<HTMLDivElement>(null)
  const [theme, language] = [themeShown.value, locale.value]
  useEffect(() => {
    const element = place.current
    if (!element) return
    const { options, data, bind } = draw()
    const u = new uPlot(
      { legend: { show: false }, ...options, width: element.clientWidth },
      data,
      element,
    )
    const resized = new ResizeObserver(() => {
      if (element.clientWidth !== u.width) {
        u.setSize({ width: element.clientWidth, height: options.height })
      }
    })
    resized.observe(element)
    if (tip && bubble.current) follow(u, bubble.current, tip, onPick)
    const unbind = bind?.(u)
    return () => {
      unbind?.()
      resized.disconnect()
      u.destroy()
    }
  }, [draw, theme, language])
  return (
    <div class="plot" role="img" aria-label={label}>
      <div ref={place} />
      <div class="tip" ref={bubble} hidden />
    </div>
  )
}

/** Shows the tip of what is nearest to the pointer; a click picks it. */
function follow(
  u: uPlot,
  bubble: HTMLElement,
  tip: (hit: Hit) => string,
  onPick: ((hit: Hit) => void) | undefined,
): void {
  let hit: Hit | null = null
  let pressedAt = 0
  u.over.addEventListener('mousemove', (event) => {
    const [x, y] = [event.offsetX, event.offsetY]
    hit = event.buttons === 0 ? nearest(u, x, y) : null // nothing while it is dragged
    bubble.hidden = hit === null
    u.over.classList.toggle('on-dot', hit !== null && onPick !== undefined)
    if (!hit) return
    bubble.textContent = tip(hit)
    const left = u.over.offsetLeft + x
    const flip = left > u.width / 2
    bubble.style.left = flip ? '' : `${left + 12}px`
    bubble.style.right = flip ? `${u.width - left + 12}px` : ''
    bubble.style.top = `${u.over.offsetTop + y + 12}px`
  })
  u.over.addEventListener('mouseleave', () => {
    bubble.hidden = true
  })
  u.over.addEventListener('mousedown', (event) => {
    pressedAt = event.clientX
    bubble.hidden = true
  })
  u.over.addEventListener('click', (event) => {
    // What was dragged is a zoom. A finger has not moved over the plot before.
    if (Math.abs(event.clientX - pressedAt) > 3) return
    hit = nearest(u, event.offsetX, event.offsetY)
    if (hit) onPick?.(hit)
  })
}

/** The dot within reach of a place of the plot, in pixels. */
function nearest(u: uPlot, left: number, top: number): Hit | null {
  const xs = u.data[0]
  const [low, high] = [u.posToVal(left - REACH, 'x'), u.posToVal(left + REACH, 'x')]
  let best: Hit | null = null
  let least = REACH ** 2
  for (let index = firstAtLeast(xs, low); index < xs.length; index++) {
    const x = xs[index] as number
    if (x > high) break
    for (let series = 1; series < u.data.length; series++) {
      const y = u.data[series]?.[index]
      if (y === null || y === undefined) continue
      const away = (u.valToPos(x, 'x') - left) ** 2 + (u.valToPos(y, 'y') - top) ** 2
      if (away < least) {
        least = away
        best = { index, series }
      }
    }
  }
  return best
}

function firstAtLeast(sorted: ArrayLike<number>, value: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}
