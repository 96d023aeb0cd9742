/** The values of a page, as lm_eval_so.report writes them. */

export interface Dataset {
  id: string
  name: string
  version: string | null
  sha256: string
  path: string
  sample_count: number
}

export interface Verdict {
  outcome: string
  reasons: string[]
  [key: string]: unknown
}

export interface Cell {
  name: string
  settings: Record<string, unknown>
  dataset: number
  run_dir: string
  state: 'running' | 'complete' | 'partial' | 'aborted'
  reason: string | null
  verdict: Verdict | null
  summary: Record<string, unknown> | null
  /** Results when complete: the denominator. */
  asked: number
  counts: { ok: number; failed: number; owed: number }
  selection: Record<string, unknown> | null
  run_config: Record<string, unknown>
  prompt: Record<string, unknown> | null
  options: Record<string, unknown>
  identity: Record<string, unknown>
  fingerprint: string
  environment: Record<string, unknown>
  engine: string
  concurrency_history: { at_s: number; limit: number; reason: string }[] | null
  limits_per_minute: Record<string, number> | null
  started_at: string
  ended_at: string | null
  command: string | null
  resume: string | null
}

export interface Slot {
  cell: number
  repeat: number
}

export type ColumnType = 'u8' | 'u16' | 'u32' | 'f32'
export type Scalar = string | number | boolean | null

export interface Manifest {
  format: 1
  product: string
  created_at: string
  title: string
  live: boolean
  revision?: number
  datasets: Dataset[]
  cells: Cell[]
  slots: Slot[]
  rows: number
  block_rows: number
  blocks: number
  started_at: string | null
  errors: string[]
  finish_reasons: string[]
  tags: string[]
  tagsets: number[][]
  fields: { name: string; values: Scalar[] }[]
  scores: string[]
  columns: { name: string; type: ColumnType; count: number; offset: number }[]
  ids: { offset: number; bytes: number }
  sampled: { results: number; of: number; how: string } | null
}

export interface Message {
  role: string
  content?: unknown
  name?: string
  tool_calls?: unknown[]
  [key: string]: unknown
}

/** One row of a block: a question and what each slot answered. */
export interface Row {
  id: string
  messages: Message[]
  expected?: unknown
  tags?: string[]
  metadata?: Record<string, unknown>
  results: (Result | null)[]
}

export interface RunError {
  error_type: string
  message: string
  status_code?: number | null
  retryable?: boolean
  details?: unknown
}

/** One request on the wire. `waited_ms`: before it was sent, by slot, rate_limit, backoff, outage. */
export interface Attempt {
  started_at: string | null
  latency_ms: number | null
  waited_ms: Record<string, number>
  status_code: number | null
  error_type: string | null
  served_by?: string
}

export interface Result {
  status: 'ok' | 'error' | 'timeout'
  text?: string
  reasoning?: string
  tool_calls?: unknown[]
  refusal?: string
  choices?: unknown[]
  finish_reason?: string
  error?: RunError
  messages?: Message[]
  model?: string
  tokens?: Record<string, number | null>
  cost_usd?: number
  latency_ms?: number
  first_token_ms?: number
  attempts: number
  attempt_log?: Attempt[]
  started_at: string
  request_key: string
  trace_id: string
  request_id?: string
  served_by?: string
  scores?: Record<string, number>
}
