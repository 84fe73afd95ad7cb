// Draws the plots of an experiment's page on canvas from the JSON in the page; each has its table in the page as well.
(() => {
  const read = (id) => {
    const block = document.getElementById(id);
    return block ? JSON.parse(block.textContent) : null;
  };
  const data = read("experiment-result");
  const published = read("experiment-checkpoints");
  if (!window.echarts || (!data && !published)) return;

  const SHAPES = ["circle", "diamond", "triangle", "rect", "roundRect", "pin", "arrow", "circle", "diamond", "triangle"];
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--cp-${name}`).trim();
    return {
      text: of("text"), quiet: of("quiet"), strong: of("strong"), line: of("line"), ground: of("raised"), tint: of("tint"),
      good: of("good"), bad: of("bad"), arms: [of("arm-0"), of("arm-1"), of("arm-2"), of("arm-3")],
    };
  };
  const font = () => getComputedStyle(document.body).fontFamily;
  const plain = (value) => new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format(value).replace("-", "−");
  const signed = (value) => (value > 0 ? `+${plain(value)}` : plain(value));
  const percent = (value) => `${signed(100 * value)} %`;
  const absolute = (metric) => (value) =>
    metric && metric.kind === "proportion" ? `${signed(100 * value)} pp` : `${signed(value)}${metric && metric.unit ? ` ${metric.unit}` : ""}`;
  const span = (say, interval) => `${say(interval.low)} to ${say(interval.high)}`;

  const tooltip = (paint) => ({
    renderMode: "richText", confine: true, backgroundColor: paint.ground, borderColor: paint.line, borderWidth: 1,
    textStyle: { color: paint.text, fontSize: 13, lineHeight: 19, fontFamily: font() },
  });
  const frame = (paint) => ({
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches, animationDuration: 250,
    textStyle: { fontFamily: font(), color: paint.text }, tooltip: tooltip(paint),
  });
  const axis = (paint, say, more) => ({
    type: "value", scale: true, axisLine: { show: false }, axisTick: { show: false }, splitNumber: 4,
    axisLabel: { color: paint.quiet, formatter: say, hideOverlap: true, fontSize: 12 },
    splitLine: { lineStyle: { color: paint.line }, showMinLine: false, showMaxLine: false }, ...more,
  });
  const zero = (paint, direction) => ({
    silent: true, symbol: "none", label: { show: false }, lineStyle: { color: paint.strong, width: 1.5, type: "solid" },
    data: [{ [direction]: 0 }],
  });
  // Room on both sides, zero always in view.
  const reach = (values) => {
    const known = [0, ...values.filter(Number.isFinite)];
    const low = Math.min(...known);
    const high = Math.max(...known);
    const room = 0.08 * (high - low || 1);
    return { min: low - (low < 0 ? room : 0), max: high + (high > 0 ? room : 0) };
  };
  const shorten = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

  // --- effects: one strip per metric; a shared axis when relative, an axis of its own unit when absolute ------------
  const ROW = 30;
  const HEAD = 26;
  const FOOT = 26;
  const measured = (key) => data.result.metrics.find((one) => one.metric.key === key);
  const ends = (answer, scale) => {
    if (answer.undefined) return null;
    const late = answer.always_valid.undefined ? null : answer.always_valid;
    if (scale === "absolute") return { at: answer.difference, fixed: answer.interval, late: late && late.interval };
    if (answer.relative.undefined) return null;
    return {
      at: answer.relative.estimate, fixed: answer.relative.interval,
      late: late && !late.relative.undefined ? late.relative.interval : null,
    };
  };
  const effects = (scale) => (chart, box) => {
    const paint = colours();
    const narrow = box.clientWidth < 560;
    const left = narrow ? 92 : 176;
    const strips = data.order.map((one) => ({ role: one.role, ...measured(one.key) }));
    const shown = strips.map((strip) => strip.comparisons.map((answer) => ends(answer, scale)));
    const values = (rows) => rows.flatMap((row) => (row ? [row.fixed.low, row.fixed.high, ...(row.late ? [row.late.low, row.late.high] : [])] : []));
    const shared = reach(values(shown.flat()));
    const option = { ...frame(paint), title: [], grid: [], xAxis: [], yAxis: [], series: [] };
    let top = 0;
    strips.forEach((strip, index) => {
      const last = index === strips.length - 1;
      const ticks = scale === "absolute" || last;
      const height = ROW * strip.comparisons.length;
      const metric = strip.metric;
      const name = metric.title || metric.key;
      const say = scale === "absolute" ? absolute(metric) : percent;
      const role = strip.role === "watched" ? "" : ` · ${strip.role}`;
      option.title.push({
        text: shorten(name, narrow ? 34 : 80) + role, left: 0, top,
        textStyle: { color: paint.strong, fontSize: 13, fontWeight: 600, fontFamily: font() }, padding: [3, 0],
      });
      option.grid.push({ left, right: 24, top: top + HEAD, height, containLabel: false });
      option.xAxis.push(axis(paint, say, {
        gridIndex: index, ...(scale === "absolute" ? reach(values(shown[index])) : shared), axisLabel: {
          show: ticks, color: paint.quiet, formatter: say, hideOverlap: true, fontSize: 12, showMinLabel: false, showMaxLabel: false,
        },
      }));
      option.yAxis.push({
        type: "category", gridIndex: index, inverse: true, axisLine: { show: false }, axisTick: { show: false },
        data: strip.comparisons.map((answer) => data.titles[answer.arm] || answer.arm),
        axisLabel: { color: paint.text, fontSize: 13, width: left - 14, overflow: "truncate" },
      });
      strip.comparisons.forEach((answer, row) => {
        const at = shown[index][row];
        const arm = data.titles[answer.arm] || answer.arm;
        const effect = data.effects[`${metric.key}|${answer.arm}`];
        const colour = { better: paint.good, worse: paint.bad }[effect] || paint.arms[0];
        const on = { xAxisIndex: index, yAxisIndex: index };
        if (!at) {
          option.series.push({
            ...on, type: "scatter", silent: true, symbolSize: 1, data: [[scale === "absolute" ? 0 : Math.max(shared.min, 0), row]], itemStyle: { color: "transparent" },
            label: { show: true, position: "right", color: paint.quiet, fontSize: 12, formatter: answer.undefined ? "no answer" : "no ratio: see absolute" },
          });
          return;
        }
        const words = [
          `${name}, ${arm}: ${say(at.at)}`, `one look at the end ${span(say, at.fixed)}`,
          at.late ? `valid at any time ${span(say, at.late)}` : "no always-valid interval",
          `units ${answer.n_control.toLocaleString("en")} / ${answer.n_treatment.toLocaleString("en")}; means ${plain(answer.control)} / ${plain(answer.treatment)}`,
          `method ${answer.method.replace("_", " ")}; ${effect}`,
        ].join("\n");
        const bar = (interval, width, cap) => ({
          ...on, type: "line", data: [[interval.low, row], [interval.high, row]], symbol: "rect", symbolSize: [1.5, cap],
          lineStyle: { color: colour, width, cap: "butt" }, itemStyle: { color: colour }, tooltip: { formatter: words }, z: 3,
        });
        if (at.late) option.series.push(bar(at.late, 1.5, 9));
        option.series.push(bar(at.fixed, 5, 0));
        option.series.push({
          ...on, type: "scatter", data: [[at.at, row]], symbol: SHAPES[row], symbolSize: 12, z: 4, tooltip: { formatter: words },
          itemStyle: { color: effect === "unclear" ? paint.ground : colour, borderColor: colour, borderWidth: 2.5, opacity: 1 },
        });
      });
      option.series.push({
        type: "line", xAxisIndex: index, yAxisIndex: index, data: [], silent: true, markLine: zero(paint, "xAxis"),
      });
      top += HEAD + height + (ticks ? FOOT : 8);
    });
    box.style.height = `${top + 4}px`;
    chart.resize();
    chart.setOption(option, true);
  };

  // --- a line with bands -------------------------------------------------------------------------------------------
  const band = (points, pick, colour, opacity, name) => {
    const at = (side) => points.map((point) => {
      const interval = pick(point);
      if (!interval) return [point.x, null];
      return [point.x, side === "low" ? interval.low : interval.high - interval.low];
    });
    const common = { type: "line", symbol: "none", silent: true, stack: name, stackStrategy: "all", lineStyle: { width: 0 }, tooltip: { show: false } };
    return [
      { ...common, name: `${name} low`, data: at("low") },
      { ...common, name: `${name} width`, data: at("width"), areaStyle: { color: colour, opacity } },
    ];
  };
  const armsOf = (points) => [...new Set(points.map((point) => point.arm))];
  const overTime = ({ points, bands, titles, say, xAxis, where }) => (chart, box) => {
    const paint = colours();
    const narrow = box.clientWidth < 560;
    const series = [];
    const values = [];
    armsOf(points).forEach((arm, index) => {
      const mine = points.filter((point) => point.arm === arm);
      const colour = paint.arms[1 + (index % 3)];
      bands.forEach(({ pick, opacity, name }) => {
        series.push(...band(mine, pick, colour, opacity, `${arm} ${name}`));
        for (const point of mine) { const one = pick(point); if (one) values.push(one.low, one.high); }
      });
      series.push({
        type: "line", name: titles[arm] || arm, data: mine.map((point) => [point.x, point.difference ?? null]), symbol: SHAPES[index],
        symbolSize: mine.length > 40 ? 3 : 7, lineStyle: { color: colour, width: 2 }, itemStyle: { color: colour }, z: 5,
        ...(index === 0 ? { markLine: zero(paint, "yAxis") } : {}),
      });
      for (const point of mine) if (point.difference !== undefined) values.push(point.difference);
    });
    // The first days' bands are wide; what matters is near the later ones.
    const sorted = values.map(Math.abs).sort((a, b) => a - b);
    const cut = sorted.length > 24 ? sorted[Math.floor(0.9 * (sorted.length - 1))] * 1.3 : Infinity;
    const range = reach(values.filter((value) => Math.abs(value) <= cut));
    chart.setOption({
      ...frame(paint),
      tooltip: {
        ...tooltip(paint), trigger: "axis",
        formatter: (found) => {
          const x = found[0] && found[0].value[0];
          const there = points.filter((point) => point.x === x);
          return [where(x), ...there.map((point) => point.difference === undefined ? `${titles[point.arm] || point.arm}: no answer`
            : `${titles[point.arm] || point.arm} ${say(point.difference)}${bands.map(({ pick, name }) => (pick(point) ? `\n  ${name} ${span(say, pick(point))}` : "")).join("")}`)].join("\n");
        },
      },
      legend: armsOf(points).length > 1 ? { top: 0, right: 0, textStyle: { color: paint.text }, data: armsOf(points).map((arm) => titles[arm] || arm) } : undefined,
      grid: { left: narrow ? 62 : 78, right: 16, top: armsOf(points).length > 1 ? 34 : 14, bottom: 34 },
      xAxis: { axisLine: { lineStyle: { color: paint.line } }, axisTick: { show: false }, axisLabel: { color: paint.quiet, hideOverlap: true, fontSize: 12 }, splitLine: { show: false }, ...xAxis },
      yAxis: axis(paint, say, { ...range, axisLabel: { color: paint.quiet, formatter: say, fontSize: 12, showMinLabel: false, showMaxLabel: false } }),
      series: series.map((one) => ({ clip: true, ...one })),
    }, true);
  };
  const cumulative = (key) => {
    const points = data.result.series.filter((point) => point.metric === key).map((point) => ({
      x: point.day, arm: point.arm, difference: point.undefined ? undefined : point.difference,
      band: point.undefined || point.band.undefined ? null : point.band,
    }));
    const metric = measured(key).metric;
    const days = [...new Set(points.map((point) => point.x))];
    return overTime({
      points, titles: data.titles, say: absolute(metric), where: (x) => `up to the end of ${x}`,
      bands: [{ name: "valid at any time", pick: (point) => point.band, opacity: 0.18 }],
      xAxis: { type: "category", data: days, boundaryGap: false },
    });
  };
  const checkpoints = (key) => overTime({
    points: published.checkpoints[key].map((point) => ({ ...point, x: point.at })), titles: published.titles, say: signed,
    where: (x) => `after ${plain(x)} days`,
    bands: [
      { name: "valid at any time", pick: (point) => point.band, opacity: 0.14 },
      { name: "one look", pick: (point) => point.interval, opacity: 0.28 },
    ],
    xAxis: { type: "value", min: "dataMin", max: "dataMax", axisLabel: { color: colours().quiet, formatter: (x) => `${plain(x)} d`, hideOverlap: true } },
  });

  // --- traffic: served share against the planned one -----------------------------------------------------------------
  const traffic = (chart, box) => {
    const paint = colours();
    const rows = data.traffic;
    const left = box.clientWidth < 560 ? 92 : 176;
    const share = (value) => `${plain(100 * value)} %`;
    const values = rows.flatMap((row) => [row.served, row.planned, row.chance && row.chance.low, row.chance && row.chance.high]).filter((one) => one !== null && one !== undefined);
    const low = Math.min(...values);
    const high = Math.max(...values);
    const room = Math.max(0.15 * (high - low), 0.005);
    const words = (row) => [
      `${row.title}: ${row.units.toLocaleString("en")} units`, row.served === null ? "none served" : `served ${plain(100 * row.served)} %`,
      row.planned === null ? "not planned" : `planned ${plain(100 * row.planned)} %`, row.chance ? `by chance ${share(row.chance.low)} to ${share(row.chance.high)}` : "",
    ].filter(Boolean).join("\n");
    const series = rows.flatMap((row, index) => [
      ...(row.chance ? [{ type: "line", data: [[row.chance.low, index], [row.chance.high, index]], symbol: "none", lineStyle: { color: paint.line, width: 14, cap: "butt" }, silent: true, z: 2 }] : []),
      ...(row.planned !== null ? [{ type: "scatter", data: [[row.planned, index]], symbol: "rect", symbolSize: [2, 20], itemStyle: { color: paint.quiet }, tooltip: { formatter: words(row) }, z: 3 }] : []),
      ...(row.served !== null ? [{ type: "scatter", data: [[row.served, index]], symbol: SHAPES[index], symbolSize: 12, itemStyle: { color: paint.arms[index % 4], opacity: 1 }, tooltip: { formatter: words(row) }, z: 4 }] : []),
    ]);
    box.style.height = `${36 * rows.length + 40}px`;
    chart.resize();
    chart.setOption({
      ...frame(paint), grid: { left, right: 24, top: 6, bottom: 30 },
      xAxis: axis(paint, share, { min: Math.max(0, low - room), max: Math.min(1, high + room), axisLabel: { color: paint.quiet, formatter: share, hideOverlap: true, fontSize: 12, showMinLabel: false, showMaxLabel: false } }),
      yAxis: { type: "category", inverse: true, data: rows.map((row) => row.title), axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: paint.text, fontSize: 13, width: left - 14, overflow: "truncate" } },
      series,
    }, true);
  };

  // --- what is drawn where, again on every change of size or theme -------------------------------------------------
  const state = { scale: "relative", metric: data && data.order.length ? data.order[0].key : null };
  const drawing = {
    effects: () => effects(state.scale), traffic: () => traffic,
    "over-time": () => cumulative(state.metric), checkpoints: (box) => checkpoints(box.dataset.key),
  };
  const plots = [...document.querySelectorAll("[data-plot]")].map((box) => {
    const chart = echarts.init(box, null, { renderer: "canvas" });
    const draw = () => drawing[box.dataset.plot](box)(chart, box);
    let width = 0;
    new ResizeObserver(() => {
      if (box.clientWidth === width) return;
      width = box.clientWidth;
      chart.resize();
      draw();
    }).observe(box);
    return { name: box.dataset.plot, draw };
  });
  const redraw = (name) => { for (const plot of plots) if (!name || plot.name === name) plot.draw(); };
  new MutationObserver(() => redraw()).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  document.fonts.ready.then(() => redraw());  // text on a canvas does not change by itself when its font arrives
  document.querySelector("[data-switch]")?.addEventListener("change", (event) => {
    state.scale = event.target.value;
    redraw("effects");
  });
  document.querySelector("[data-metric]")?.addEventListener("change", (event) => {
    state.metric = event.target.value;
    redraw("over-time");
  });
})();
