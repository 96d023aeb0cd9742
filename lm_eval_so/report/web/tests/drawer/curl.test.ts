import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import type { Cell } from '../../src/data/types'
import { curlOf } from '../../src/drawer/curl'

const ENDPOINT = 'http://127.0.0.1:8000/v1'

function cell(run_config: Record<string, unknown>, endpoint = ENDPOINT): Cell {
  return { run_config, identity: { endpoint } } as unknown as Cell
}

/** What a shell would hand to curl. */
function argumentsOf(command: string): string[] {
  const script = `curl() { printf '%s\\0' "$@"; }; MY_KEY=secret; OPENAI_API_KEY=secret; ${command}`
  return execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1)
}

const messages = [{ role: 'user', content: 'it\'s $HOME `id` \\ "x"\n환불' }]

it('says to a shell what was sent, whatever the text', () => {
  const options = { api_key_env: 'MY_KEY' }
  const command = curlOf(
    cell({ backend: 'openai', model: 'm', parameters: { top_p: 1 }, backend_options: options }),
    messages,
  )
  const given = argumentsOf(command ?? '')
  expect(given[0]).toBe('http://127.0.0.1:8000/v1/chat/completions')
  expect(given).toContain('Authorization: Bearer secret')
  expect(JSON.parse(given.at(-1) ?? '')).toEqual({ model: 'm', messages, top_p: 1 })
})

it('holds no key, but the name of its variable', () => {
  const command = curlOf(
    cell({ backend: 'openai', model: 'm', backend_options: { api_key_env: 'x; rm -rf' } }),
    messages,
  )
  expect(command).toContain('$OPENAI_API_KEY')
  expect(command).not.toContain('rm -rf')
})

it("gives Anthropic's API the system text beside the messages", () => {
  const system = { role: 'system', content: 'Be brief.' }
  const command = curlOf(cell({ backend: 'anthropic', model: 'c' }), [system, ...messages])
  const given = argumentsOf(command ?? '')
  expect(JSON.parse(given.at(-1) ?? '')).toEqual({ model: 'c', system: 'Be brief.', messages })
})

it('is not offered where the wire is not known', () => {
  expect(curlOf(cell({ backend: 'command', model: 'm' }), messages)).toBeNull()
  expect(curlOf(cell({ backend: 'toString', model: 'm' }), messages)).toBeNull()
})

it.each([
  ['http://h/v1', {}, 'http://h/v1/chat/completions'],
  ['http://a/v1 http://b/v1', {}, 'http://a/v1/chat/completions'],
  ['http://h/v1/chat/completions?v=2', {}, 'http://h/v1/chat/completions?v=2'],
  ['our-server', { base_url: 'http://h/v1/' }, 'http://h/v1/chat/completions'],
  ['our-server', { base_url: ['http://a', 'http://b'] }, 'http://a/chat/completions'],
  ['http://h/v1', { default_query: { v: '2', w: null } }, 'http://h/v1/chat/completions?v=2'],
])('asks where the run did: %s %j', (endpoint, backend_options, url) => {
  const command = curlOf(cell({ backend: 'openai', model: 'm', backend_options }, endpoint), [])
  expect(argumentsOf(command ?? '')[0]).toBe(url)
})

it('is not offered where the address is not known, rather than sent to another host', () => {
  expect(curlOf(cell({ backend: 'openai', model: 'm' }, 'our-server'), messages)).toBeNull()
})
