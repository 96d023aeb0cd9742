import { board } from '../state'

export function Verdict() {
  return <section class="verdict">{board.value?.manifest.title}</section>
}
