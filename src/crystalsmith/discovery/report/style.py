"""How the page looks."""

STYLE = """
:root { --ink: #22252b; --quiet: #5a6070; --line: #e3e5ea; --blue: #3b6ea8; --good: #1f7a4d;
  --bad: #a33a3a; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink);
  margin: 2.5rem auto; max-width: 80rem; padding: 0 1.5rem; }
h1 { font-size: 1.8rem; margin: 0 0 .2rem; } h2 { font-size: 1.25rem; margin: 2.8rem 0 .7rem; }
h3 { font-size: 1.1rem; margin: 0; } p { margin: .3rem 0; max-width: 62rem; }
.quiet, small { color: var(--quiet); } a { color: var(--blue); }
.good { color: var(--good); } .bad { color: var(--bad); }
.over { text-decoration: overline; } sub { line-height: 0; }
.key { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.4rem 0 0; padding: 0; list-style: none; }
.key li { flex: 1 1 11rem; border: 1px solid var(--line); border-radius: .5rem; padding: .7rem 1rem; }
.key b { display: block; font-size: 1.5rem; line-height: 1.25; }
table { border-collapse: collapse; margin: .6rem 0; }
th, td { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: middle; }
th { vertical-align: bottom; font-weight: 600; }
td.text, th.text { text-align: left; } thead th { border-bottom: 2px solid var(--ink); }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
table.short td small { display: block; white-space: nowrap; }
table.short td small.wrap { white-space: normal; }
table.short img { display: block; width: 5.2rem; height: 5.2rem; object-fit: contain; }
td.bar { width: 16rem; padding-right: 1.2rem; }
.bar span { display: block; height: .95rem; background: var(--blue); border-radius: .15rem; min-width: 1px; }
.scroll { overflow-x: auto; }
figure { margin: 0; } figcaption { color: var(--quiet); font-size: .88rem; }
svg { max-width: 100%; height: auto; display: block; }
.diagram { max-width: 46rem; }
.card { border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.3rem; margin: 1.1rem 0;
  break-inside: avoid; }
.card header { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: baseline; margin-bottom: .7rem; }
.card .rank { color: var(--quiet); font-weight: 600; }
.card .parts { display: grid; gap: 1rem 2rem;
  grid-template-columns: 14rem minmax(16rem, 1fr) minmax(20rem, 27rem); }
.card .parts > * { min-width: 0; } .card img { width: 100%; height: auto; }
.card .wide { max-width: 46rem; margin-top: 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.sites td, .sites th { padding: .1rem .9rem .1rem 0; font-size: .9rem; }
details { margin-top: .6rem; } summary { cursor: pointer; color: var(--blue); }
pre { background: #f5f6f8; padding: .8rem 1rem; overflow-x: auto; font-size: .82rem; border-radius: .4rem; }
.notes { background: #fff8e6; border-left: .25rem solid #e8b73a; padding: .6rem 1rem; margin: 1.2rem 0 0; }
.notes ul { margin: .2rem 0 0; padding-left: 1.2rem; }
.empty { border: 1px dashed #9aa0ac; border-radius: .6rem; padding: 1.4rem; color: var(--quiet); }
@media (max-width: 62rem) { .card .parts { grid-template-columns: minmax(0, 1fr); } }
@media print { body { margin: 0; max-width: none; font-size: 11px; } }
"""
"""The style sheet; nothing in it refers to a file or a font elsewhere."""
