// SPDX-License-Identifier: GPL-2.0
// Steps through the transcripts of a page: beside each one stands the stack after a command, as it
// was recorded in the guest. The recording is in a comment of the page. Without this script the
// page is the whole transcript.
"use strict";

(() => {
    const SVG = "http://www.w3.org/2000/svg";
    const PROMPT = "vm# ";
    const [ROW, HIGH, GAP, LETTER] = [84, 40, 16, 8.2];

    /** The recording in a page's comment, or null. */
    function recording() {
        const comments = document.createTreeWalker(document.body, NodeFilter.SHOW_COMMENT);
        while (comments.nextNode()) {
            const text = comments.currentNode.data.trim();
            if (text.startsWith("steps: {")) return JSON.parse(text.slice("steps: ".length));
        }
        return null;
    }

    /** An element with attributes and children. */
    function make(name, attributes, ...children) {
        const svg = ["svg", "g", "rect", "text", "path", "title"].includes(name);
        const element = svg ? document.createElementNS(SVG, name) : document.createElement(name);
        Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
        element.append(...children);
        return element;
    }

    /** Whose users a module's users are: an array of names for each floor, the lowest first. */
    function floors(modules) {
        const floor = new Map();
        const height = (module, path) => {
            if (path.includes(module.name)) return 0;
            if (!floor.has(module.name)) {
                const below = modules.filter((other) => other.users.includes(module.name));
                const heights = below.map((other) => height(other, [...path, module.name]) + 1);
                floor.set(module.name, Math.max(0, ...heights));
            }
            return floor.get(module.name);
        };
        const all = [];
        for (const module of modules) (all[height(module, [])] ??= []).push(module);
        return all;
    }

    /** How often a module is in use, in words. */
    function used(module) {
        if (module.state !== "Live") return module.state.toLowerCase();
        return module.count === 0 ? "not used" : `used by ${module.count}`;
    }

    /** Draws the modules of a step, and faintly those that the step removed. */
    function picture(now, before, uses) {
        const has = (list, name) => list.find((module) => module.name === name);
        const gone = before.filter((module) => !has(now, module.name));
        const rows = floors([...now, ...gone]);
        const width = (module) => Math.max(module.name.length, used(module).length) * LETTER + 24;
        const wide = (row) => row.reduce((sum, module) => sum + width(module) + GAP, -GAP);
        const total = Math.max(120, ...rows.map(wide));
        const place = new Map();
        rows.forEach((row, floor) => {
            let x = (total - wide(row)) / 2;
            for (const module of row) {
                const y = (rows.length - 1 - floor) * ROW;
                place.set(module.name, { x, y, width: width(module) });
                x += width(module) + GAP;
            }
        });
        const high = Math.max(HIGH, (rows.length - 1) * ROW + HIGH) + 4;
        const image = make("svg", {
            viewBox: `-2 -2 ${total + 4} ${high}`,
            width: total + 4,
            height: high,
            "aria-hidden": true,
        });
        for (const owner of [...now, ...gone]) {
            for (const user of owner.users.filter((name) => place.has(name))) {
                const [from, to] = [place.get(user), place.get(owner.name)];
                const [x1, x2] = [from.x + from.width / 2, to.x + to.width / 2];
                const [y1, y2, half] = [from.y + HIGH, to.y, (to.y - from.y - HIGH) / 2];
                const d = `M${x1},${y1} C${x1},${y1 + half} ${x2},${y2 - half} ${x2},${y2}`;
                const symbols = [...(uses[user]?.[owner.name] ?? [])].join(", ");
                const faint = gone.includes(owner) || !has(now, user) ? "use gone" : "use";
                image.append(make("path", { class: faint, d }, make("title", {}, symbols)));
            }
        }
        for (const module of [...now, ...gone]) {
            const { x, y, width } = place.get(module.name);
            const old = has(before, module.name);
            const changed = old && used(old) !== used(module);
            const kind = gone.includes(module) ? "gone" : old ? (changed ? "changed" : "") : "new";
            const middle = { x: x + width / 2, "text-anchor": "middle" };
            const what = gone.includes(module) ? "removed" : used(module);
            image.append(make("g", { class: `module ${kind}` },
                make("rect", { x, y, width, height: HIGH, rx: 4 }),
                make("text", { ...middle, y: y + 17, class: "name" }, module.name),
                make("text", { ...middle, y: y + 33 }, what)));
        }
        return image;
    }

    /** What a user has of an owner: its symbols, or their number where they are many. */
    function symbols(uses, user, owner) {
        const all = uses[user]?.[owner] ?? [];
        if (all.length === 0) return `${user} uses ${owner}.`;
        const which = all.length > 3 ? `${all.length} symbols` : all.join(" and ");
        return `${user} uses ${which} of ${owner}.`;
    }

    /** What a step changed, in sentences. */
    function sentences(now, before, uses) {
        const names = (list) => list.map((module) => module.name).join(", ");
        const missing = (list, from) =>
            list.filter(({ name }) => !from.some((other) => other.name === name));
        const [come, gone] = [missing(now, before), missing(before, now)];
        const parts = [];
        if (come.length > 0) parts.push(`Loaded: ${names(come)}.`);
        if (gone.length > 0) parts.push(`Removed: ${names(gone)}.`);
        for (const module of now) {
            const old = before.find(({ name }) => name === module.name);
            const users = module.users.filter((user) => !old?.users.includes(user));
            parts.push(...users.map((user) => symbols(uses, user, module.name)));
        }
        if (parts.length > 0) return parts.join(" ");
        return now.length > 0 ? "The stack is as before." : "Nothing is loaded.";
    }

    /** The lines of a transcript, each with the number of its command, from 1. */
    function numbered(text) {
        let number = 0;
        return text.replace(/\n$/, "").split("\n").map((line) => {
            if (line.startsWith(PROMPT)) number += 1;
            return { line, number };
        });
    }

    /** Puts the stack beside a transcript, and steps through both. */
    function attach(code, steps, first, uses) {
        const states = [first, ...steps.map((step) => step.loaded)];
        const lines = numbered(code.textContent).map(({ line, number }) => {
            const span = make("span", { class: "line" }, `${line}\n`);
            if (line.startsWith(PROMPT)) {
                span.replaceChildren(make("b", {}, PROMPT), `${line.slice(PROMPT.length)}\n`);
                span.addEventListener("click", () => step(number));
            }
            return { span, number };
        });
        code.replaceChildren(...lines.map(({ span }) => span));
        code.classList.add("stepped");

        // Nothing is faint before the first press of a button, and the stack is at its highest.
        let stepping = false;
        const sizes = states.map((modules) => modules.length);
        let at = sizes.indexOf(Math.max(...sizes));
        const button = (label, text, to) => {
            const element = make("button", { type: "button", "aria-label": label }, text);
            element.addEventListener("click", () => step(to()));
            return element;
        };
        const start = button("to the start", "⏮", () => 0);
        const back = button("one command back", "◀", () => at - 1);
        const next = button("next command", "▶", () => at + 1);
        const where = make("span", { class: "where" });
        const image = make("div", { class: "picture" });
        const said = make("figcaption", { "aria-live": "polite" });
        const controls = make("div", { class: "controls" }, start, back, next, where);
        const panel = make("figure", { class: "stack" }, controls, image, said);

        function step(to) {
            stepping = true;
            panel.classList.add("stepping");
            at = Math.min(Math.max(to, 0), states.length - 1);
            show();
        }

        function show() {
            const before = at > 0 ? states[at - 1] : states[0];
            image.replaceChildren(picture(states[at], before, uses));
            const after = () => sentences(states[at], before, uses);
            said.textContent = at > 0 ? after() : "Before the first command.";
            where.textContent = `${at} of ${states.length - 1}`;
            start.disabled = back.disabled = at === 0;
            next.disabled = at === states.length - 1;
            for (const { span, number } of lines) {
                span.classList.toggle("later", stepping && number > at);
                span.classList.toggle("now", number === at);
            }
        }

        const pre = code.parentElement;
        const both = make("div", { class: "steps" });
        pre.replaceWith(both);
        both.append(pre, panel);
        show();
    }

    const recorded = recording();
    if (recorded === null || /\/print\.html$/.test(location.pathname)) return;
    // The names that highlight.js adds, and a block that ends the guest.
    const dressed = ["language-console", "hljs", "shell", "dies"];
    const guest = (code) => [...code.classList].every((name) => dressed.includes(name));
    const codes = [...document.querySelectorAll("code.language-console")].filter(guest);
    let loaded = [];
    codes.forEach((code, index) => {
        const steps = recorded.blocks[index] ?? [];
        const text = (list) => JSON.stringify(list);
        const changes = steps.some((step) => text(step.loaded) !== text(loaded));
        if (changes) attach(code, steps, loaded, recorded.uses);
        loaded = steps.at(-1)?.loaded ?? loaded;
    });
})();
