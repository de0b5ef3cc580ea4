/** The one style sheet of all pages: served from /assets, light and dark, readable on a phone. */

/** Part of its URL, so that a new version is fetched at once. */
export const STYLE_VERSION = '5';

export const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--soft:#f6f7f9;--line:#dde1e6;--text:#1c2127;--dim:#626b76;--link:#1a5fb4;
--add:#1a7f45;--del:#b3261e;--mod:#8a5a00;--bar:#2f9e6e;--barbg:#e3e7ec;--tag:#eaf1fb;--warn:#fff4d6;--warnline:#e5c66c}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--soft:#1b1f24;--line:#30363d;--text:#e3e6ea;--dim:#98a1ac;
--link:#78aeee;--add:#57c08a;--del:#f08a80;--mod:#dcab53;--bar:#3fb37f;--barbg:#2a3037;--tag:#1d2a3c;--warn:#2f2710;--warnline:#6b5618}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
td,dd,h1,p,b,code,.words{unicode-bidi:isolate}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
code,pre,.mono{font-family:ui-monospace,SFMono-Regular,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.92em}
.top{background:var(--soft);border-bottom:1px solid var(--line)}
.in{max-width:1180px;margin:0 auto;padding:0 24px}
.top .in{display:flex;align-items:center;gap:4px 14px;flex-wrap:wrap}
.top .in:first-child{padding-top:14px;padding-bottom:8px}
.top .in:only-child{padding-bottom:14px}
.brand{display:flex;align-items:center;gap:9px;font-weight:650;color:var(--text);letter-spacing:-.01em}
.brand svg{width:20px;height:20px;fill:var(--bar)}
.where{font-size:17px;overflow-wrap:anywhere}
.where b{font-weight:650}
.sep{color:var(--dim);padding:0 3px}
.top .tabs{gap:4px;flex-wrap:nowrap;overflow-x:auto;padding-left:12px}
.tabs a{padding:8px 12px;color:var(--dim);border-bottom:2px solid transparent;white-space:nowrap}
.tabs a:hover{color:var(--text);text-decoration:none}
.tabs a.on{color:var(--text);border-color:var(--bar);font-weight:600}
main.in{padding-top:28px;padding-bottom:56px;flex:1 0 auto;width:100%}
h1{font-size:21px;line-height:1.3;margin:0 0 6px;font-weight:650;overflow-wrap:anywhere}
h2{font-size:16px;margin:32px 0 10px;font-weight:650}
h2 .dim{font-weight:400}
p{margin:0 0 12px}
.dim{color:var(--dim)}
.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.box{border:1px solid var(--line);border-radius:8px;overflow:hidden;background:var(--bg)}
.box>.head{background:var(--soft);border-bottom:1px solid var(--line);padding:10px 16px;display:flex;gap:8px 14px;align-items:baseline;flex-wrap:wrap}
.box>.head .grow{flex:1 1 auto;min-width:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th{font-weight:500;color:var(--dim);text-align:left;font-size:13px;background:var(--soft)}
th.num{text-align:right}
th,td{padding:8px 16px;border-top:1px solid var(--line);vertical-align:top}
thead th,tbody:first-child>tr:first-child>td{border-top:0}
tbody tr:hover td{background:var(--soft)}
td.name{overflow-wrap:anywhere;min-width:180px}
td.subject{min-width:220px;overflow-wrap:anywhere}
td.nowrap,.nowrap{white-space:nowrap}
.icon{display:inline-block;width:16px;height:16px;margin-right:8px;vertical-align:-2.5px;fill:var(--dim)}
.icon.folder{fill:var(--link)}
.id{white-space:nowrap}
.bar{display:inline-block;vertical-align:middle;width:64px;height:7px;border-radius:4px;background:var(--barbg);overflow:hidden;margin-right:8px}
.bar svg{display:block;width:100%;height:100%;fill:var(--bar)}
.tag{display:inline-block;background:var(--tag);color:var(--link);border-radius:12px;padding:1px 9px;font-size:13px;white-space:nowrap;max-width:100%;overflow:hidden;text-overflow:ellipsis;vertical-align:bottom}
.stack .tag{white-space:normal;overflow-wrap:anywhere;min-width:4em;text-align:center}
.stack td.name{min-width:7em}
.stack .words{margin-left:6px}
.tag.warn{background:var(--warn);color:var(--mod)}
.note{background:var(--warn);border:1px solid var(--warnline);border-radius:8px;padding:10px 16px;margin:0 0 16px;overflow-wrap:anywhere}
.box+.cmd{margin-top:14px}
.cmd{display:flex;align-items:center;gap:12px;background:var(--soft);border:1px solid var(--line);border-radius:8px;padding:10px 14px;margin:0 0 10px;overflow-x:auto}
.cmd code{white-space:pre-wrap;overflow-wrap:anywhere;user-select:all}
.cmd .dim{user-select:none}
pre.text{margin:0;padding:16px;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5;tab-size:4}
pre.code{white-space:pre;overflow-wrap:normal;max-height:70vh;overflow:auto}
.facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:6px 20px;margin:0;padding:14px 16px}
.facts dt{color:var(--dim)}
.facts dd{margin:0;overflow-wrap:anywhere}
.crumbs .btn{margin-left:8px}.crumbs .tag,.crumbs .btn{vertical-align:middle}
td.by{min-width:172px}
pre.pointer{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.crumbs{font-size:16px;margin:0 0 14px;overflow-wrap:anywhere}
.cols{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:24px}
.cols h2{margin-top:24px}
.cols td.name,.cols td.subject{min-width:0}
pre.text+.facts{border-top:1px solid var(--line)}
.add{color:var(--add)}.del{color:var(--del)}.mod{color:var(--mod)}
.sign{font-weight:700;text-align:center;width:44px;padding-right:0}
.btn{display:inline-block;border:1px solid var(--line);background:var(--bg);border-radius:6px;padding:3px 12px;color:var(--text);font-size:14px;white-space:nowrap}
.btn:hover{background:var(--soft);text-decoration:none}
.more{padding:12px 16px;border-top:1px solid var(--line);background:var(--soft)}
.blank{padding:28px 16px;text-align:center;color:var(--dim)}
.img{padding:24px;text-align:center;background:var(--soft)}
footer{border-top:1px solid var(--line);color:var(--dim);font-size:13px;padding:16px 0 32px}
footer code{user-select:all;overflow-wrap:anywhere}
.big{font-size:56px;font-weight:700;color:var(--dim);line-height:1;margin:40px 0 12px}
@media (max-width:720px){.stack thead{display:none}.stack tr{display:flex;flex-wrap:wrap;gap:2px 14px;padding:9px 12px;border-top:1px solid var(--line)}
.stack tbody tr:first-child{border-top:0}.stack td{border:0;padding:0}.stack td.subject{flex:1 0 100%;order:-1}
.stack tbody tr:hover td{background:none}
.in{padding:0 14px}.cols{grid-template-columns:minmax(0,1fr);gap:0}th,td{padding:8px 12px}
.wide{display:none}td.name{min-width:130px}td.subject{min-width:150px}.facts{grid-template-columns:minmax(0,1fr);gap:0}.facts dd{margin-bottom:8px}}
`;
