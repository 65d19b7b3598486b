"""Texts that attack whoever shows them: each calls `stolen` or breaks out of where it stands."""

from __future__ import annotations

SCRIPTS = (
    "<script>stolen(1)</script>",
    "</script><script>stolen(2)</script>",
    "<img src=x onerror=stolen(3)>",
    "<svg onload=stolen(4)>",
    "<svg><script>stolen(5)</script></svg>",
    '"><script>stolen(6)</script>',
    "'><img src=x onerror=stolen(7)>",
    '" onmouseover="stolen(8)" x="',
    "' onfocus='stolen(9)' autofocus x='",
    "javascript:stolen(10)",
    "<a href=javascript:stolen(11)>x</a>",
    "<iframe srcdoc='<script>parent.stolen(12)</script>'></iframe>",
    "<math><mtext></p><img src=x onerror=stolen(13)>",
    "<!--<script>stolen(14)//-->",
    "{{7*7}}{%print(stolen)%}",
    "${stolen(16)}`${stolen(16)}`",
    "\u2028stolen(17)\u2029",
    "</textarea><script>stolen(18)</script>",
    "</title><script>stolen(19)</script>",
    "<style>*{background:url(//evil.example/20)}</style>",
    "<base href=//evil.example/>",
)  # 21 of them

ODD = (
    "\u202egnp.exe",  # reads backwards
    "\N{COMBINING ACUTE ACCENT}" * 40,
    "W" * 200,
    "名前 эксперимент 🧪",
    "=cmd|' /C calc'!A0",
    "__proto__",
    "constructor",
    "a/b//c",
    "%3Cscript%3E %00 %0d%0a",
)

TEXTS = (*SCRIPTS, *ODD)

MARKDOWN = """# <script>stolen(30)</script>

<img src=x onerror=stolen(31)> and <b onclick=stolen(32)>bold</b>

[click](javascript:stolen(33)) [click](JaVaScRiPt&colon;stolen(34)) [click](java\tscript:stolen(35))
[click](data:text/html,<script>stolen(36)</script>) [click](vbscript:stolen(37)) [click][ref]

![remote](https://evil.example/pixel.png "\\"onerror=stolen(38)")
![x](x"onerror="stolen(39))

```"><script>stolen(40)</script>
code
```

```mermaid
graph TD; A["<img src=x onerror=stolen(41)>"]
```

[ref]: javascript:stolen(42)
"""
