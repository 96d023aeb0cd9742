/** Where a page's data comes from: the HTML file itself, or the server of `lm-eval-so view`. */
import { Columns, readIds } from './columns'
import type { Manifest, Row } from './types'

/** Everything of one page but the rows' text, which comes block by block. */
export interface Board {
  manifest: Manifest
  columns: Columns
  ids: string[]
}

export interface Source {
  load(): Promise<Board>
  /** The rows of one block, decoded. Kept for a while. */
  block(number: number): Promise<Row[]>
  /** The rows of a block that is decoded, or, while it is read anew, what stood there. */
  ready(number: number): Row[] | undefined
  isFresh(number: number): boolean
  /** Calls back when the server has newer data. Returns what ends it. */
  follow(onChange: () => void): () => void
}

/** Blocks kept decoded; the text of some thousand rows. */
const KEPT_BLOCKS = 48

/** Decodes each block once, and keeps those used last. */
class Blocks {
  private readonly asked = new Map<number, Promise<Row[]>>()
  private readonly rows = new Map<number, Row[]>()
  private stale = new Map<number, Row[]>()

  ready(number: number): Row[] | undefined {
    return this.rows.get(number) ?? this.stale.get(number)
  }

  isFresh(number: number): boolean {
    return this.rows.has(number)
  }

  get(number: number, decode: () => Promise<Row[]>): Promise<Row[]> {
    const asked = this.asked.get(number) ?? this.begin(number, decode)
    this.asked.delete(number)
    this.asked.set(number, asked)
    if (this.asked.size > KEPT_BLOCKS) this.drop(this.asked.keys().next().value as number)
    return asked
  }

  clear(): void {
    this.stale = new Map(this.rows)
    this.asked.clear()
    this.rows.clear()
  }

  private begin(number: number, decode: () => Promise<Row[]>): Promise<Row[]> {
    const asked = decode()
    asked.then(
      (rows) => this.asked.get(number) === asked && this.rows.set(number, rows),
      () => this.asked.get(number) === asked && this.drop(number),
    )
    return asked
  }

  private drop(number: number): void {
    this.asked.delete(number)
    this.rows.delete(number)
  }
}

function board(manifest: Manifest, index: ArrayBuffer): Board {
  if (manifest.format !== 1) throw new Error(`this page cannot read format ${manifest.format}`)
  return { manifest, columns: new Columns(manifest, index), ids: readIds(manifest, index) }
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

/** base64 of deflate-raw. */
export async function inflate(base64: string): Promise<ArrayBuffer> {
  const packed = new Blob([bytesOf(base64)]).stream()
  return await new Response(
    packed.pipeThrough(new DecompressionStream('deflate-raw')),
  ).arrayBuffer()
}

/** Resolves with the element once the parser has read it to its end. */
function parsed(id: string): Promise<HTMLElement> {
  return new Promise((resolve, reject) => {
    const done = (): boolean => {
      const element = document.getElementById(id)
      const ended = document.readyState !== 'loading'
      if (element && (ended || element.nextElementSibling)) resolve(element)
      else if (ended) reject(new Error(`the file was cut: it has no ${id}`))
      else return false
      return true
    }
    if (done()) return
    const observer = new MutationObserver(() => done() && stop())
    const stop = () => {
      observer.disconnect()
      document.removeEventListener('readystatechange', onState)
    }
    const onState = () => {
      if (done()) stop()
    }
    observer.observe(document.body, { childList: true })
    document.addEventListener('readystatechange', onState)
  })
}

/** The data of a self-contained HTML file. */
export class FileSource implements Source {
  private readonly kept = new Blocks()

  async load(): Promise<Board> {
    const manifest = JSON.parse(textOf('manifest')) as Manifest
    return board(manifest, await inflate(textOf('index')))
  }

  block(number: number): Promise<Row[]> {
    return this.kept.get(number, async () => {
      const element = await parsed(`block-${number}`)
      const bytes = await inflate(element.textContent ?? '')
      return JSON.parse(new TextDecoder().decode(bytes)) as Row[]
    })
  }

  ready(number: number): Row[] | undefined {
    return this.kept.ready(number)
  }

  isFresh(number: number): boolean {
    return this.kept.isFresh(number)
  }

  follow(): () => void {
    return () => {}
  }
}

function textOf(id: string): string {
  const element = document.getElementById(id)
  if (!element) throw new Error(`the file was cut: it has no ${id}`)
  return element.textContent ?? ''
}

/** The server has newer data than what was asked for. */
class Outdated extends Error {}

/** How often data is asked for that grows while it is read. */
const LOADS = 5

async function words(answer: Response): Promise<string> {
  const body = (await answer.json().catch(() => null)) as { error?: unknown } | null
  return typeof body?.error === 'string' ? body.error : `${answer.status} ${answer.statusText}`
}

/** How often a page that is served asks whether there is more, in milliseconds. */
const POLL_MS = 1000

/** The data of `lm-eval-so view`, read by HTTP from where the page came from. */
export class ServerSource implements Source {
  private readonly kept = new Blocks()
  private revision = 0
  private live = true
  private onChange = () => {}

  constructor(private readonly base: string) {}

  async load(): Promise<Board> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.loadOnce()
      } catch (error) {
        if (!(error instanceof Outdated) || tries === LOADS) throw error
      }
    }
  }

  private async loadOnce(): Promise<Board> {
    const manifest = (await (await this.get('manifest.json')).json()) as Manifest
    const revision = manifest.revision ?? 0
    const index = await (await this.get(`index.bin?r=${revision}`)).arrayBuffer()
    this.revision = revision
    this.live = manifest.live
    this.kept.clear()
    return board(manifest, index)
  }

  block(number: number): Promise<Row[]> {
    return this.kept.get(number, async () => {
      try {
        const answer = await this.get(`block/${number}?r=${this.revision}`)
        return (await answer.json()) as Row[]
      } catch (error) {
        if (error instanceof Outdated) this.onChange()
        throw error
      }
    })
  }

  ready(number: number): Row[] | undefined {
    return this.kept.ready(number)
  }

  isFresh(number: number): boolean {
    return this.kept.isFresh(number)
  }

  follow(onChange: () => void): () => void {
    this.onChange = onChange
    const timer = setInterval(async () => {
      if (!this.live) return clearInterval(timer)
      const answer = await this.get('revision').catch(() => null)
      if (answer && Number(await answer.text()) > this.revision) onChange()
    }, POLL_MS)
    return () => clearInterval(timer)
  }

  private async get(path: string): Promise<Response> {
    for (;;) {
      const answer = await fetch(this.base + path)
      if (answer.ok) return answer
      if (answer.status === 409) throw new Outdated(path)
      if (answer.status !== 503) throw new Error(`${path}: ${await words(answer)}`)
      // The server is still reading the file.
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }
}

/** Whether `lm-eval-so view` serves this page; it lists all runs at "/". */
export function isServed(): boolean {
  return document.getElementById('app')?.dataset.source === 'server'
}

/** The source that this document names. */
export function sourceOf(root: HTMLElement): Source {
  return root.dataset.source === 'server'
    ? new ServerSource(root.dataset.base ?? '')
    : new FileSource()
}
