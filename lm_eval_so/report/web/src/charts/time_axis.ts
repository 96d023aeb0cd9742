/** The time axis that several charts share: zoomed together, with pauses marked. */
import { effect } from '@preact/signals'
import type uPlot from 'uplot'
import { t } from '../text'
import { shortDuration } from '../views/numbers'
import { bottom, fixed, type Range } from './axes'
import { colour } from './colours'
import { timeline, zoom } from './shared'

/** The least that can be zoomed to, in pixels dragged. */
const LEAST = 5

function range(): Range {
  const [from, to] = zoom.peek() ?? [0, timeline.peek().length || 1]
  return { from, to }
}

export const timeScale = fixed(range)

/** Steps between ticks, in seconds, that are round in seconds, minutes or hours. */
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800]
const HOURS = [1, 2, 3, 6, 12, 24, 48, 96, 192].map((hours) => hours * 3600)

export function timeAxis(): uPlot.Axis {
  const axis = bottom(t('charts.time'), (seconds) => shortDuration(seconds * 1000))
  return { ...axis, incrs: [0.001, 0.01, ...STEPS, ...HOURS] }
}

/** Dragging sets the zoom of all; a double click shows all. */
export const timeCursor: uPlot.Cursor = {
  y: false,
  points: { show: false },
  drag: { x: true, y: false, setScale: false },
  bind: {
    dblclick: () => () => {
      zoom.value = null
      return null
    },
  },
}

export const timeHooks: uPlot.Hooks.Arrays = {
  setSelect: [
    (u) => {
      const { left, width } = u.select
      if (width < LEAST) return
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
      zoom.value = [u.posToVal(left, 'x'), u.posToVal(left + width, 'x')]
    },
  ],
  draw: [drawPauses],
}

export function bindZoom(u: uPlot): () => void {
  return effect(() => {
    const [min, max] = zoom.value ?? [0, timeline.value.length || 1]
    u.setScale('x', { min, max })
  })
}

function drawPauses(u: uPlot): void {
  const { ctx, bbox } = u
  ctx.save()
  ctx.strokeStyle = colour('--faint')
  ctx.fillStyle = colour('--muted')
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`
  ctx.textAlign = 'right'
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
  for (const { at, seconds } of timeline.peek().pauses) {
    const x = u.valToPos(at, 'x', true)
    if (x < bbox.left || x > bbox.left + bbox.width) continue
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    ctx.save()
    ctx.translate(x - 4 * devicePixelRatio, bbox.top + 4 * devicePixelRatio)
    ctx.rotate(-Math.PI / 2)
    ctx.fillText(t('charts.pause', { time: shortDuration(seconds * 1000) }), 0, 0)
    ctx.restore()
  }
  ctx.restore()
}
