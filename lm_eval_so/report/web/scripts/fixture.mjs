// A page file made of a generated board, to look at without Python:
//   node scripts/fixture.mjs [rows=200] [cells=3] [repeats=1] [out=dev/fixture.html]
// Run `npm run build` first. tests/report/ holds the pages of real runs.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { ANSWERS, HOSTILE, LONG, QUESTIONS } from './fixture_texts.mjs'

const [rows = 200, cellCount = 3, repeats = 1] = process.argv.slice(2, 5).map(Number)
const out = process.argv[5] ?? 'dev/fixture.html'
const BLOCK_ROWS = 100
const T0 = Date.UTC(2026, 10, 26, 8, 0, 0)
const TAGS = ['refund', 'billing', 'general', 'korean', 'hostile', 'multi-turn']
const LANGUAGES = ['en', 'ko', 'de', null]
const MODELS = [
  'gpt-4o-mini',
  'claude-haiku',
  'llama-3.1-8b',
  'qwen3-4b',
  'gemini-flash',
  'mistral',
]

// A small generator with a seed: the same page every time.
let seed = 42
function random() {
  seed = (seed * 1664525 + 1013904223) % 4294967296
  return seed / 4294967296
}
const pick = (values) => values[Math.floor(random() * values.length)]
const hex = (text) => createHash('sha256').update(text).digest('hex')

const slots = []
for (let cell = 0; cell < cellCount; cell++) {
  for (let repeat = 0; repeat < repeats; repeat++) slots.push({ cell, repeat })
}
const results = rows * slots.length
const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array }
const columns = {}
function column(name, type, count = results) {
  const values = new ARRAYS[type](count)
  if (type === 'f32') values.fill(NaN)
  columns[name] = { type, values }
  return values
}
const col = Object.fromEntries(
  [
    ['status', 'u8'],
    ['flags', 'u8'],
    ['error', 'u16'],
    ['finish', 'u8'],
    ['latency', 'f32'],
    ['first', 'f32'],
    ['input', 'f32'],
    ['output', 'f32'],
    ['cost', 'f32'],
    ['length', 'u32'],
    ['answer', 'u16'],
    ['start', 'f32'],
    ['end', 'f32'],
    ['attempts', 'u8'],
    ['score.exact', 'f32'],
  ].map(([name, type]) => [name, column(name, type)]),
)
const tagset = column('tagset', 'u32', rows)
const language = column('field.language', 'u8', rows)
const difficulty = column('field.difficulty', 'u8', rows)

const ERRORS = ['', 'rate_limit', 'server_error', 'timeout', 'content_policy']
const MESSAGES = [
  '',
  'Rate limit reached for gpt-4o-mini on requests per min (RPM): Limit 500, Used 500. Try again in 120ms.',
  'HTTP 503: upstream connect error or disconnect before headers. reset reason: overflow',
  'No answer within 60 s.',
  'HTTP 400: The prompt was flagged by the moderation filter (category: self-harm).',
]
const FINISH = ['', 'stop', 'length', 'content_filter', 'tool_calls']
const tagsets = [[], [0], [1], [2], [0, 3], [3], [4], [2, 5]]
const clock = slots.map(() => 0)

function messagesOf(row, kind) {
  const [question] = QUESTIONS[kind]
  const messages = [{ role: 'user', content: row % 23 === 0 ? pick(HOSTILE) : question }]
  if (row % 7 === 0) {
    messages.unshift(
      { role: 'user', content: 'Hello, is anyone there?' },
      { role: 'assistant', content: 'Good morning! How can I help you today?' },
    )
  }
  if (row % 5 === 0)
    messages.unshift({
      role: 'system',
      content: 'You are the support desk of a shop.\nAnswer briefly and politely.',
    })
  if (row % 11 === 0) {
    const red =
      'iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mP8z8BQz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC'
    messages.at(-1).content = [
      { type: 'text', text: question },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${red}` } },
      { type: 'image_url', image_url: { url: 'https://example.invalid/photo.jpg' } },
    ]
  }
  if (row % 13 === 0) {
    messages.push(
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'call_1',
            type: 'function',
            function: {
              name: 'get_order',
              arguments: '{"order": 8812, "fields": ["status", "eta"]}',
            },
          },
        ],
      },
      {
        role: 'tool',
        tool_call_id: 'call_1',
        content: '{"status": "shipped", "eta": "2026-11-28"}',
      },
    )
  }
  return messages
}

function answerText(row, slot, kind) {
  if (row % 23 === 0) return pick(HOSTILE)
  if (row === 17) return LONG[slot % LONG.length]
  const options = ANSWERS[kind]
  return random() < 0.45 ? options[0] : pick(options)
}

function failure(at, kind) {
  col.status[at] = kind === 3 ? 3 : 2
  col.error[at] = kind
  return {
    status: kind === 3 ? 'timeout' : 'error',
    error: {
      error_type: ERRORS[kind],
      message: MESSAGES[kind],
      status_code: [null, 429, 503, null, 400][kind],
      retryable: kind < 4,
      details: null,
    },
  }
}

function answered(row, slot, at, kind, distinct) {
  let text = answerText(row, slot, kind)
  const chance = random()
  let finish = 1
  if (chance < 0.03) {
    finish = 2
    col.flags[at] |= 1
    text = text.slice(0, Math.max(8, text.length * 0.6))
  } else if (chance < 0.045) {
    finish = 3
    col.flags[at] |= 2
    text = "I'm sorry, but I can't help with that."
  } else if (chance < 0.06) {
    col.flags[at] |= 4
    text = ''
  }
  const result = { status: 'ok', text, finish_reason: FINISH[finish] }
  if (row % 6 === 0) {
    result.reasoning =
      'The user asks about the policy. The policy says 30 days.\nSo I should offer an alternative.'
    col.flags[at] |= 16
  }
  if (row % 17 === 5) {
    result.tool_calls = [
      {
        id: 'call_9',
        type: 'function',
        function: { name: 'refund', arguments: '{"order": 5519}' },
      },
    ]
    col.flags[at] |= 8
  }
  const key = text + JSON.stringify(result.tool_calls ?? null)
  if (!distinct.has(key)) distinct.set(key, distinct.size)
  col.answer[at] = distinct.get(key)
  col.status[at] = 1
  col.finish[at] = finish
  col.length[at] = [...text].length
  col.output[at] = Math.min(4000, Math.ceil(text.length / 4) + 3)
  col.input[at] = 40 + Math.floor(random() * 60)
  col.cost[at] = (col.input[at] * 0.15 + col.output[at] * 0.6) / 1e6
  col.first[at] = 120 + random() * 200
  col['score.exact'][at] = random() < 0.7 ? 1 : 0
  result.tokens = {
    input: col.input[at],
    output: col.output[at],
    total: col.input[at] + col.output[at],
  }
  result.cost_usd = col.cost[at]
  result.first_token_ms = col.first[at]
  result.scores = { exact: col['score.exact'][at] }
  result.model = `${MODELS[slots[slot].cell % MODELS.length]}-2026-09-01`
  return result
}

function attemptLog(start, attempts, latency) {
  return Array.from({ length: attempts }, (_, n) => ({
    started_at: new Date(T0 + start * 1000 + n * 900).toISOString(),
    latency_ms: n === attempts - 1 ? latency : 90 + random() * 200,
    waited_ms:
      n === 0
        ? { slot: 40 + random() * 300, rate_limit: 120 }
        : { backoff: 400 * (n + 1), rate_limit: 60 },
    status_code: n === attempts - 1 ? 200 : 429,
    error_type: n === attempts - 1 ? null : 'rate_limit',
  }))
}

function resultOf(row, slot, kind, distinct) {
  const at = slot * rows + row
  col.answer[at] = 0xffff
  const chance = random()
  if (slot === slots.length - 1 && row > rows * 0.97) return null
  const ok = chance >= 0.04
  const part = ok
    ? answered(row, slot, at, kind, distinct)
    : failure(at, 1 + Math.floor(random() * 4))
  const latency =
    part.status === 'timeout'
      ? 60_000
      : 300 + 1400 * random() ** 3 * (1 + slot) + (random() < 0.01 ? 9000 : 0)
  const attempts = random() < 0.06 ? 2 + Math.floor(random() * 3) : 1
  clock[slot] += latency / 8000
  col.latency[at] = latency
  col.attempts[at] = attempts
  col.start[at] = clock[slot]
  col.end[at] = clock[slot] + latency / 1000
  const id = `${row}/${slot}`
  const result = {
    ...part,
    latency_ms: latency,
    attempts,
    started_at: new Date(T0 + clock[slot] * 1000).toISOString(),
    request_key: hex(`key ${id}`),
    trace_id: hex(`trace ${id}`).slice(0, 32),
  }
  if (attempts > 1) result.attempt_log = attemptLog(clock[slot], attempts, latency)
  return result
}

function rowOf(row) {
  const kind = row % QUESTIONS.length
  tagset[row] = row % 23 === 0 ? 6 : row % tagsets.length
  language[row] = row % LANGUAGES.length
  difficulty[row] = row % 3
  const distinct = new Map()
  const value = {
    id: `support-${String(row + 1).padStart(5, '0')}`,
    messages: messagesOf(row, kind),
    tags: tagsets[tagset[row]].map((tag) => TAGS[tag]),
    metadata: {
      language: LANGUAGES[language[row]],
      difficulty: difficulty[row],
      source: { file: 'tickets.csv', line: row + 2 },
    },
    results: slots.map((_, slot) => resultOf(row, slot, kind, distinct)),
  }
  if (QUESTIONS[kind][1]) value.expected = QUESTIONS[kind][1]
  return value
}

const ids = []
const blocks = []
for (let from = 0; from < rows; from += BLOCK_ROWS) {
  const block = Array.from({ length: Math.min(BLOCK_ROWS, rows - from) }, (_, n) => rowOf(from + n))
  ids.push(...block.map((row) => row.id))
  blocks.push(deflateRawSync(JSON.stringify(block)).toString('base64'))
}

function cellOf(cell) {
  const mine = slots.flatMap((slot, index) => (slot.cell === cell ? [index] : []))
  const counts = { ok: 0, failed: 0, owed: 0 }
  for (const slot of mine) {
    for (let row = 0; row < rows; row++) {
      const status = col.status[slot * rows + row]
      counts[status === 1 ? 'ok' : status === 0 ? 'owed' : 'failed']++
    }
  }
  const model = MODELS[cell % MODELS.length]
  const run_dir = `outputs/support_qa/openai_${model}-${hex(model).slice(0, 8)}`
  const history = Array.from({ length: 12 }, (_, n) => ({
    at_s: n * 2,
    limit: n < 6 ? 4 * 2 ** Math.min(n, 4) : 48,
    reason: n === 6 ? 'burst of 429' : 'more in flight, more answers',
  }))
  return {
    name: cellCount > 1 ? `model=${model}` : `openai_${model}`,
    settings: { model },
    dataset: 0,
    run_dir,
    state: counts.owed > 0 ? 'partial' : 'complete',
    reason: counts.owed > 0 ? 'stopped by Ctrl-C' : null,
    verdict: {
      outcome: counts.failed + counts.owed > 0 ? 'incomplete' : 'complete',
      reasons: counts.failed ? [`${counts.failed} of ${rows * repeats} samples failed`] : [],
    },
    summary: { cost_usd: 0.0123 * (cell + 1), wall_time_s: 84.2 },
    asked: rows * repeats,
    counts,
    selection: null,
    run_config: { backend: 'openai', model, parameters: { temperature: 0, max_tokens: 256 } },
    prompt: { kind: 'system', system: 'You are the support desk of a shop.' },
    options: { max_concurrency: 'auto', timeout: 60, max_retries: 5 },
    identity: {
      backend: 'openai',
      model,
      parameters: { temperature: 0, max_tokens: 256 },
      prompt: 'system',
    },
    fingerprint: hex(model),
    environment: { python: '3.11.9', platform: 'Linux', version: '1.4.0' },
    engine: 'sync',
    concurrency_history: history,
    limits_per_minute: { requests: 500, tokens: 200_000 },
    started_at: new Date(T0).toISOString(),
    ended_at: new Date(T0 + 84_200).toISOString(),
    command: `lm-eval-so dataset=support_qa backend=openai model=${model}`,
    resume:
      counts.owed + counts.failed > 0
        ? `lm-eval-so dataset=support_qa backend=openai model=${model}`
        : null,
  }
}

let offset = 0
const described = []
const parts = []
for (const [name, { type, values }] of Object.entries(columns)) {
  described.push({ name, type, count: values.length, offset })
  const bytes = Buffer.from(values.buffer)
  const padding = (4 - (bytes.length % 4)) % 4
  parts.push(bytes, Buffer.alloc(padding))
  offset += bytes.length + padding
}
const idBytes = Buffer.from(JSON.stringify(ids))
parts.push(idBytes)

const manifest = {
  format: 1,
  product: '1.4.0',
  created_at: new Date(T0 + 90_000).toISOString(),
  title: `support_qa: ${rows} samples x ${cellCount} cells`,
  live: false,
  datasets: [
    {
      id: 'support_qa',
      name: 'Support questions',
      version: '3',
      sha256: hex('data'),
      path: 'data/support_qa',
      sample_count: rows,
    },
  ],
  cells: Array.from({ length: cellCount }, (_, cell) => cellOf(cell)),
  slots,
  rows,
  block_rows: BLOCK_ROWS,
  blocks: blocks.length,
  started_at: new Date(T0).toISOString(),
  errors: ERRORS,
  finish_reasons: FINISH,
  tags: TAGS,
  tagsets,
  fields: [
    { name: 'language', values: LANGUAGES },
    { name: 'difficulty', values: [0, 1, 2] },
  ],
  scores: ['exact'],
  columns: described,
  ids: { offset, bytes: idBytes.length },
  sampled: null,
}

const js = readFileSync('../page/page.js', 'utf8')
const css = readFileSync('../page/page.css', 'utf8')
const sri = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const csp = `default-src 'none'; script-src ${sri(js)}; style-src ${sri(css)}; img-src data: blob:; base-uri 'none'; form-action 'none'`
const data = (id, text) => `<script type="application/octet-stream" id="${id}">${text}</script>`
const html = [
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="Content-Security-Policy" content="${csp}"><title>fixture</title><style>${css}</style></head><body><div id="app"></div>`,
  `<script type="application/json" id="manifest">${JSON.stringify(manifest).replaceAll('<', '\\u003c')}</script>`,
  data('index', deflateRawSync(Buffer.concat(parts)).toString('base64')),
  `<script>${js}</script>`,
  ...blocks.map((block, number) => data(`block-${number}`, block)),
  '</body></html>',
].join('\n')
mkdirSync(dirname(out), { recursive: true })
writeFileSync(out, html)
console.log(`${out}: ${results} results, ${Math.round(html.length / 1024)} KB`)
