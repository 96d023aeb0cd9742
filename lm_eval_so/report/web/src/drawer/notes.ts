/** Notes and thumbs, kept in this browser by request key. */
import { signal } from '@preact/signals'
import { board } from '../state'

export interface Note {
  request_key: string
  sample_id: string
  cell: string
  run_dir: string
  repeat: number
  thumb: 'up' | 'down' | null
  note: string
  noted_at: string
}

const PREFIX = 'lm-eval-so.note.'

function isNote(value: unknown): value is Note {
  const note = value as Note | null
  return typeof note?.request_key === 'string' && typeof note.note === 'string'
}

function readAll(): Map<string, Note> {
  const found = new Map<string, Note>()
  try {
    for (let at = 0; at < localStorage.length; at++) {
      const key = localStorage.key(at)
      if (!key?.startsWith(PREFIX)) continue
      const note: unknown = JSON.parse(localStorage.getItem(key) ?? 'null')
      if (isNote(note)) found.set(note.request_key, note)
    }
  } catch {
    // No storage here, or it holds something else: notes last as long as the page.
  }
  return found
}

/** All notes of this browser, by request key. */
export const notes = signal<ReadonlyMap<string, Note>>(readAll())

function store(note: Note, isEmpty: boolean): void {
  try {
    if (isEmpty) localStorage.removeItem(PREFIX + note.request_key)
    else localStorage.setItem(PREFIX + note.request_key, JSON.stringify(note))
  } catch {
    // No storage here: the note lasts as long as the page.
  }
}

export function setNote(note: Note): void {
  const isEmpty = note.note === '' && note.thumb === null
  const next = new Map(notes.peek())
  if (isEmpty) next.delete(note.request_key)
  else next.set(note.request_key, note)
  notes.value = next
  store(note, isEmpty)
}

/** The notes on the runs of this page, a line of JSON each. */
export function notesAsJsonl(): string {
  return notesHere()
    .map((note) => `${JSON.stringify(note)}\n`)
    .join('')
}

export function notesHere(): Note[] {
  const runs = new Set(board.value?.manifest.cells.map((cell) => cell.run_dir))
  return [...notes.value.values()].filter((note) => runs.has(note.run_dir))
}
