/** Dots that differ in shape as well as in colour, and dashes for lines. */
import type uPlot from 'uplot'
import { CELL_COLOURS } from './colours'

const SIZE = 3

type Draw = (path: Path2D, x: number, y: number, r: number) => void

function polygon(points: readonly (readonly [number, number])[]): Draw {
  return (path, x, y, r) => {
    points.forEach(([dx, dy], nth) => {
      if (nth === 0) path.moveTo(x + dx * r, y + dy * r)
      else path.lineTo(x + dx * r, y + dy * r)
    })
    path.closePath()
  }
}

const circle: Draw = (path, x, y, r) => {
  path.moveTo(x + r, y)
  path.arc(x, y, r, 0, 2 * Math.PI)
}

const SHAPES: readonly { draw: Draw; svg: string }[] = [
  { draw: circle, svg: 'M1 5a4 4 0 1 0 8 0a4 4 0 1 0-8 0z' },
  {
    draw: polygon([
      [0, -1.3],
      [1.2, 0.9],
      [-1.2, 0.9],
    ]),
    svg: 'M5 0L10 9L0 9z',
  },
  {
    draw: polygon([
      [-0.9, -0.9],
      [0.9, -0.9],
      [0.9, 0.9],
      [-0.9, 0.9],
    ]),
    svg: 'M1 1H9V9H1z',
  },
  {
    draw: polygon([
      [0, -1.4],
      [1.4, 0],
      [0, 1.4],
      [-1.4, 0],
    ]),
    svg: 'M5 0L10 5L5 10L0 5z',
  },
  {
    draw: polygon([
      [-1.2, -0.9],
      [1.2, -0.9],
      [0, 1.3],
    ]),
    svg: 'M0 1H10L5 10z',
  },
]

function shape(cell: number) {
  return SHAPES[cell % SHAPES.length] as (typeof SHAPES)[number]
}

/** The outline of a cell's dots in a square of 10. */
export function svgOf(cell: number): string {
  return shape(cell).svg
}

/** Dashes of a cell's lines: the ninth cell has the colour of the first, but is dashed. */
export function dashOf(cell: number): number[] {
  const dashes = [[], [6, 3], [2, 3], [8, 3, 2, 3]]
  return dashes[Math.floor(cell / CELL_COLOURS) % dashes.length] as number[]
}

/** Draws the values of a series as dots of the cell's shape. */
export function dotPaths(cell: number): uPlot.Series.PathBuilder {
  const { draw } = shape(cell)
  return (u, series, from, to) => {
    const fill = new Path2D()
    const [xs, ys] = [u.data[0], u.data[series] ?? []]
    for (let i = from; i <= to; i++) {
      const y = ys[i]
      if (y === null || y === undefined) continue
      const px = u.valToPos(xs[i] as number, 'x', true)
      draw(fill, px, u.valToPos(y, 'y', true), SIZE * devicePixelRatio)
    }
    return { stroke: null, fill, flags: 0 } as unknown as uPlot.Series.Paths
  }
}
