// What the samples of the fixture ask, and what models answer: ordinary, Korean and hostile.
export const QUESTIONS = [
  ['How do I return a pair of shoes that I bought online 40 days ago?', '30 days'],
  ['환불은 어떻게 받을 수 있나요? 구매한 지 일주일이 지났습니다.', '14일 이내 환불'],
  ['My card was charged twice for order 5519. What happens now?', 'refund of the second charge'],
  ['What is the capital of France?', 'Paris'],
  ['Translate to Korean: "The meeting starts at nine."', '회의는 아홉 시에 시작합니다.'],
  ['주문 번호 8812의 배송 상태를 알려 주세요.', undefined],
  ['Write a haiku about the sea, then explain the syllables in a short table.', undefined],
  ['Which plan includes phone support, and what does it cost per month?', 'Business, $49'],
]

export const ANSWERS = [
  [
    'You can return shoes within 30 days of delivery. As 40 days have passed, we can offer store credit.',
    'You can return shoes within 30 days of purchase. As 40 days have passed, we can offer a voucher instead.',
    'Returns are possible within 60 days, so your shoes can still be sent back free of charge.',
  ],
  [
    '구매 후 14일 이내에는 전액 환불을 받을 수 있습니다. 주문 내역에서 환불 신청을 눌러 주세요.',
    '구매 후 14일 이내라면 전액 환불이 가능합니다. 고객 센터에 전화로 신청해 주세요.',
    '죄송하지만 환불 기간이 지났습니다. 교환만 가능합니다.',
  ],
  [
    'The second charge is a **pre-authorisation** and disappears within 3 to 5 days.\n\n1. Open *Orders*\n2. Choose order 5519\n3. Press `Report a problem`',
    'The second charge is a pre-authorisation and disappears within 5 days.',
  ],
  ['Paris', 'Paris', 'The capital of France is Paris.'],
  ['회의는 아홉 시에 시작합니다.', '회의는 9시에 시작합니다.'],
  ['주문하신 상품은 오늘 출고되었습니다.', '확인해 보겠습니다. 잠시만 기다려 주세요.'],
  [
    'Waves fold into foam,\nthe gull writes one line of white;\nsalt keeps the story.\n\n| line | syllables |\n|---|---|\n| 1 | 5 |\n| 2 | 7 |\n| 3 | 5 |',
    'Blue without an edge,\nthe tide returns what it took,\nstone by patient stone.',
  ],
  ['The Business plan, $49 a month, includes phone support from 9 to 18.', 'Business, $49.'],
]

export const HOSTILE = [
  '<script>document.title="owned"</script><img src=x onerror=alert(1)>',
  '</script><style>body{display:none}</style>',
  '![pixel](https://example.invalid/pixel.png) [click](javascript:alert(1)) <a href="https://example.invalid">x</a>',
  '\u202Egnp.exe\u202C looks like exe.png \u2066isolated\u2069',
  `line${'\u2028'}separator${'\u0000'}nul${'\ufffd'}`,
]

export const LONG = [
  `word ${'x'.repeat(1_000_000)}`,
  '😀🧑‍🚀👨‍👩‍👧‍👦'.repeat(3334),
  'many short words '.repeat(9000),
]
