/** A board of four samples and two cells, with what a query can ask for. */
import { Columns } from '../src/data/columns'
import type { Board } from '../src/data/source'
import type { Cell, ColumnType, Manifest, Row } from '../src/data/types'

const NAN = Number.NaN
const NONE = 0xffff

/** Slot-major: the first four values are those of the first cell. */
const VALUES: Record<string, [ColumnType, number[]]> = {
  status: ['u8', [1, 2, 1, 1, 1, 1, 3, 0]],
  flags: ['u8', [0, 0, 1, 4, 2, 0, 0, 0]],
  error: ['u16', [0, 1, 0, 0, 0, 0, 2, 0]],
  finish: ['u8', [1, 0, 2, 1, 1, 1, 0, 0]],
  latency: ['f32', [100, 2500, 300, 400, 900, 200, 60_000, NAN]],
  output: ['f32', [10, NAN, 200, 0, 12, 11, NAN, NAN]],
  cost: ['f32', [0.1, NAN, 0.02, 0, 0.1, 0.01, NAN, NAN]],
  length: ['u32', [4, 0, 900, 0, 6, 5, 0, 0]],
  answer: ['u16', [0, NONE, 0, 0, 1, 0, NONE, NONE]],
  attempts: ['u8', [1, 3, 1, 1, 1, 2, 1, 0]],
  'score.exact': ['f32', [1, NAN, 0, 0.1, 0, 1, NAN, NAN]],
  tagset: ['u32', [0, 1, 2, 0]],
  'field.language': ['u8', [0, 1, 0, 2]],
}
const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array }

function cell(name: string): Cell {
  return { name, run_dir: name } as unknown as Cell
}

export function smallBoard(): Board {
  const index = new ArrayBuffer(Object.keys(VALUES).length * 32)
  const columns = Object.entries(VALUES).map(([name, [type, values]], nth) => {
    new ARRAYS[type](index, nth * 32, values.length).set(values)
    return { name, type, count: values.length, offset: nth * 32 }
  })
  const manifest = {
    format: 1,
    cells: [cell('model=Small'), cell('model=large')],
    slots: [
      { cell: 0, repeat: 0 },
      { cell: 1, repeat: 0 },
    ],
    rows: 4,
    block_rows: 2,
    blocks: 2,
    errors: ['', 'RateLimit', 'Timeout'],
    finish_reasons: ['', 'stop', 'length'],
    tags: ['Refund', 'billing'],
    tagsets: [[], [0], [0, 1]],
    fields: [{ name: 'language', values: ['EN', 'ko', null] }],
    scores: ['exact'],
    columns,
  } as unknown as Manifest
  return { manifest, columns: new Columns(manifest, index), ids: ['a-1', 'a-2', 'b-1', 'b-2'] }
}

const question = (content: string) => [{ role: 'user', content }]

/** The text of the board's rows. */
export const ROWS: Row[] = [
  {
    id: 'a-1',
    messages: question('Where is my refund?'),
    expected: 'In 3 Days',
    metadata: { level: 1, places: ['Seoul', 'Busan'] },
    results: [{ text: 'Here' } as never, { text: 'Nowhere' } as never],
  },
  { id: 'a-2', messages: question('환불해 주세요'), metadata: { level: 2 }, results: [null, null] },
  {
    id: 'b-1',
    messages: question('Two Words'),
    expected: { days: 3 },
    metadata: { level: 3 },
    results: [null, null],
  },
  { id: 'b-2', messages: question('nothing'), results: [null, null] },
]
