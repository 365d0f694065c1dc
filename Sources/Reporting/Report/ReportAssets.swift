/// The style and the script of a report: constants, into which no value is ever written.
enum ReportAssets {
    /// Nothing is loaded, and no script runs but the one below: a second fence behind the escaping.
    static let contentSecurityPolicy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-\(scriptNonce)'; base-uri 'none'; form-action 'none'"
    static let scriptNonce = "report"

    static let style = """
        :root { color-scheme: light dark;
          --page: #ffffff; --ink: #1b1f24; --muted: #5c6672; --line: #e2e6ea; --faint: #f5f7f9; --accent: #0067a5;
          --tip: #1b1f24; --tip-ink: #ffffff;
          --s0: #0072b2; --s1: #d55e00; --s2: #00835f; --s3: #b5548a; --s4: #a86f00; --s5: #3b8fc4; --s6: #6b6f76;
          --g0: #e9ecef; --g1: #dce0e4; --g2: #cbd0d6; --g3: #b4bbc3 }
        @media (prefers-color-scheme: dark) { :root {
          --page: #14171b; --ink: #e7eaee; --muted: #9ba5b1; --line: #2c323a; --faint: #1b2026; --accent: #62b6ee;
          --tip: #e7eaee; --tip-ink: #14171b;
          --s0: #56b4e9; --s1: #f28c4b; --s2: #2fc79b; --s3: #e39cc6; --s4: #ecc04d; --s5: #9db7ff; --s6: #b1b6be;
          --g0: #30363e; --g1: #3b424b; --g2: #4a525d; --g3: #606a76 } }
        * { box-sizing: border-box }
        html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
        body { margin: 0 auto; padding: 3.5rem clamp(1.25rem, 4vw, 3rem) 5rem; max-width: 70rem; background: var(--page);
          color: var(--ink); font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }
        header { padding-bottom: 1.75rem; border-bottom: 1px solid var(--line) }
        h1 { margin: 0; font-size: clamp(1.6rem, 1.2rem + 1.6vw, 2.2rem); line-height: 1.2; font-weight: 650;
          letter-spacing: -0.015em; overflow-wrap: anywhere; text-wrap: balance }
        header p { margin: 0.6rem 0 0; max-width: 46rem; font-size: 1.1rem; color: var(--muted); overflow-wrap: anywhere }
        h2 { margin: 3.25rem 0 0; font-size: 1.3rem; line-height: 1.3; font-weight: 620; letter-spacing: -0.01em;
          overflow-wrap: anywhere }
        .prose { margin: 0.9rem 0 0; max-width: 44rem; overflow-wrap: anywhere; white-space: pre-line }
        dl { margin: 1.5rem 0 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr));
          gap: 1rem 2.5rem }
        dl div { min-width: 0 }
        dt { font-size: 0.8rem; color: var(--muted) }
        dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
        .scroll { overflow-x: auto; max-width: 100% }
        .scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px }
        main > .scroll { margin-top: 1.5rem }
        table { border-collapse: collapse; font-size: 0.925rem; line-height: 1.4; font-variant-numeric: tabular-nums }
        main > .scroll > table { min-width: min(100%, 34rem) }
        caption { text-align: left; padding: 0 0 0.6rem; font-weight: 600 }
        th, td { padding: 0.5rem 2rem 0.5rem 0; text-align: left; vertical-align: baseline; white-space: nowrap }
        th:last-child, td:last-child { padding-right: 0.25rem }
        th { font-size: 0.8rem; font-weight: 500; color: var(--muted); border-bottom: 1px solid var(--muted) }
        td { border-bottom: 1px solid var(--line) }
        .number { text-align: right }
        .row { margin-top: 2rem; display: flex; flex-wrap: wrap; gap: 2.5rem 3rem; align-items: flex-start }
        figure { margin: 0; min-width: 0; max-width: 100%; flex: 1 1 22rem }
        figure:only-child { flex: 1 1 100% }
        .close { gap: 1.75rem 2rem }
        .close figure { flex: 0 0 auto }
        figcaption { margin-bottom: 0.75rem; line-height: 1.45 }
        figcaption strong { display: block; font-weight: 600; overflow-wrap: anywhere }
        figcaption span { display: block; max-width: 40rem; font-size: 0.9rem; color: var(--muted); overflow-wrap: anywhere }
        svg { display: block; max-width: 100%; height: auto; overflow: visible }
        svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
          font-variant-numeric: tabular-nums; fill: var(--muted) }
        svg .axis { fill: var(--ink) }
        svg .name { pointer-events: none; fill: var(--ink); paint-order: stroke; stroke: var(--page); stroke-width: 8px; stroke-linejoin: round }
        svg .value { font-size: 11.5px }
        .chart { width: 100%; max-width: 35rem }
        .grid { stroke: var(--line); stroke-width: 1; shape-rendering: crispEdges }
        .base { stroke: var(--muted) }
        .missing { fill: var(--faint); stroke: var(--line) }
        .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
        .shape { stroke: var(--page); stroke-width: 1.5 }
        .hit { fill: transparent }
        .many .shape { opacity: 0 }
        .mark:hover .shape, .mark:focus .shape { opacity: 1; stroke: var(--ink); stroke-width: 2 }
        .mark { outline: none; cursor: default }
        .s0 { --c: var(--s0) } .s1 { --c: var(--s1) } .s2 { --c: var(--s2) } .s3 { --c: var(--s3) }
        .s4 { --c: var(--s4) } .s5 { --c: var(--s5) } .s6 { --c: var(--s6) }
        .group { --c: var(--light) }
        @media (prefers-color-scheme: dark) { .group { --c: var(--dark) } }
        .line { stroke: var(--c) }
        .point { fill: var(--c) }
        .other .point { fill: var(--muted); fill-opacity: 0.55 }
        .rule { pointer-events: none; fill: none; stroke: var(--muted); stroke-width: 1.25; stroke-dasharray: 5 4 }
        .group .point { fill-opacity: 0.85 }
        .bundle .line { stroke-width: 1.4; stroke-opacity: 0.75 }
        .dense .line { stroke-width: 0.8; stroke-opacity: 0.4 }
        .bundle .dot { fill: transparent; stroke: transparent; stroke-width: 9; pointer-events: all }
        .bundle:hover .line, .bundle:focus-within .line { stroke-opacity: 0.18 }
        .bundle .series:hover .line, .bundle .series:focus-within .line { stroke-width: 2.5; stroke-opacity: 1 }
        .bundle .series:hover .dot, .bundle .series:focus-within .dot { fill: var(--c) }
        .bundle .mark:hover .dot, .bundle .mark:focus .dot { stroke: var(--ink); stroke-width: 2 }
        .bar { stroke: var(--g3) }
        .bar.selected { stroke: var(--s1) }
        .area { fill: var(--s1); fill-opacity: 0.16 }
        .cells { stroke-width: 1; shape-rendering: crispEdges }
        .grey0 { stroke: var(--g0) } .grey1 { stroke: var(--g1) } .grey2 { stroke: var(--g2) } .grey3 { stroke: var(--g3) }
        .boundary { fill: none; stroke: #fff; stroke-width: 1.5; stroke-dasharray: 6 4 }
        .boundary.casing { stroke: #10131a; stroke-width: 3.5; stroke-dasharray: none; stroke-opacity: 0.55 }
        .band { fill: transparent }
        .mark:hover .band, .mark:focus .band { fill: var(--page); fill-opacity: 0.2; stroke: var(--ink); stroke-width: 1.5 }
        .panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: 1.5rem 2rem }
        .panel { display: grid; grid-template-rows: subgrid; grid-row: span 3; gap: 0.5rem; align-content: start; min-width: 0 }
        .panel p { margin: 0; font-size: 0.9rem; line-height: 1.4 }
        .panel p strong { display: block; font-weight: 600 }
        .panel p span { color: var(--muted) }
        .panel .chart { max-width: 26rem }
        .panel .legend { margin: 0; font-size: 0.8rem; align-content: start; gap: 0.1rem 0.9rem }
        .legend { margin: 0 0 0.6rem; padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: 0.15rem 1.25rem;
          font-size: 0.875rem; line-height: 1.5 }
        .legend li { display: flex; align-items: center; gap: 0.45rem; min-width: 0; overflow-wrap: anywhere }
        .legend svg { flex: none }
        details { margin-top: 0.5rem; font-size: 0.875rem }
        summary { width: max-content; color: var(--muted); cursor: pointer }
        details .scroll { margin-top: 0.5rem; max-height: 22rem; overflow: auto }
        .tip { position: fixed; z-index: 1; max-width: min(22rem, calc(100vw - 1rem)); padding: 0.3rem 0.6rem; border-radius: 4px;
          background: var(--tip); color: var(--tip-ink); font-size: 0.85rem; line-height: 1.4; pointer-events: none;
          overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
        .tip[hidden] { display: none }
        @media (max-width: 34rem) { body { padding-top: 2rem } h2 { margin-top: 2.5rem }
          .scroll > .chart text { font-size: 14.5px } dl { gap: 0.75rem } th, td { padding-right: 1.25rem } }
        @media print { body { padding: 0; max-width: none } figure, tr { break-inside: avoid } h2 { break-after: avoid }
          .tip { display: none } }
        """

    /// One tab stop a figure: arrows, Home and End go from mark to mark; hover, touch and focus show the mark's label.
    static let script = """
        (() => {
          const tip = document.createElement("div");
          tip.className = "tip";
          tip.hidden = true;
          tip.setAttribute("aria-hidden", "true");
          document.body.append(tip);
          // The titles are for readers without scripts; with the tip they would show the same text twice.
          for (const title of document.querySelectorAll(".mark > title")) title.remove();

          const markOf = event => event.target instanceof Element ? event.target.closest(".mark") : null;
          let current = null;
          const hide = () => { current = null; tip.hidden = true; };
          const show = (mark, pointer) => {
            current = mark;
            tip.textContent = mark.getAttribute("aria-label");
            tip.hidden = false;
            // A whole line is wide: its tip stands where it is pointed at.
            const at = pointer && mark.querySelector(".line") ? new DOMRect(pointer.clientX, pointer.clientY) : mark.getBoundingClientRect();
            const size = tip.getBoundingClientRect();
            const left = at.left + at.width / 2 - size.width / 2, above = at.top - size.height - 6;
            tip.style.left = Math.max(8, Math.min(left, innerWidth - size.width - 8)) + "px";
            tip.style.top = (above < 4 ? at.bottom + 6 : above) + "px";
          };
          const showFocused = () => {
            const focused = document.activeElement;
            if (focused && focused.matches(".mark")) show(focused); else hide();
          };
          const place = mark => [Number(mark.dataset.row), Number(mark.dataset.column)];

          const next = (mark, key) => {
            const [row, column] = place(mark);
            const marks = [...mark.ownerSVGElement.querySelectorAll(".mark")];
            const line = marks.filter(other => place(other)[0] === row).sort((a, b) => place(a)[1] - place(b)[1]);
            const index = line.indexOf(mark);
            if (key === "ArrowLeft") return line[index - 1];
            if (key === "ArrowRight") return line[index + 1];
            if (key === "Home") return line[0];
            if (key === "End") return line[line.length - 1];
            const way = key === "ArrowUp" ? -1 : key === "ArrowDown" ? 1 : 0;
            const cost = other => [(place(other)[0] - row) * way, Math.abs(place(other)[1] - column)];
            return way === 0 ? undefined : marks.filter(other => cost(other)[0] > 0)
              .sort((a, b) => cost(a)[0] - cost(b)[0] || cost(a)[1] - cost(b)[1])[0];
          };

          document.addEventListener("pointerover", event => { const mark = markOf(event); if (mark) show(mark, event); else showFocused(); });
          document.addEventListener("pointerdown", event => { const mark = markOf(event); if (mark) show(mark, event); });
          document.addEventListener("focusin", event => { const mark = markOf(event); if (mark) show(mark); else hide(); });
          document.addEventListener("focusout", hide);
          document.addEventListener("scroll", () => { if (current) show(current); }, { capture: true, passive: true });
          document.addEventListener("keydown", event => {
            if (event.key === "Escape") hide();
            const mark = markOf(event), target = mark && next(mark, event.key);
            if (!target) return;
            event.preventDefault();
            for (const other of target.ownerSVGElement.querySelectorAll('.mark[tabindex="0"]')) other.setAttribute("tabindex", "-1");
            target.setAttribute("tabindex", "0");
            target.focus();
            target.scrollIntoView({ block: "nearest", inline: "nearest" });
            show(target);
          });
        })();
        """
}
