;; The loop of core/cas/chunker.ts over every byte that is ever stored: `hash = (hash << 1) + table[byte]`, until none of the mask's bits is set.
;; Memory: the table of 256 words at 0, the bytes to look at behind it. Eight bytes are loaded at a time. `scan` returns the offset behind
;; the byte that ended the chunk, or -1; `hash` is where it stands then. Compiled into gear-scan.ts by `npm run wasm`.
(module
  (memory (export "memory") 2)
  (global $hash_out (export "hash") (mut i32) (i32.const 0))
  (func (export "scan") (param $at i32) (param $end i32) (param $hash i32) (param $mask i32) (result i32)
    (local $word i64)
    (block $done
      (loop $next
        (br_if $done (i32.gt_u (i32.add (local.get $at) (i32.const 8)) (local.get $end)))
        (local.set $word (i64.load (local.get $at)))
        ;; byte 0
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.wrap_i64 (i64.and (local.get $word) (i64.const 255))) (i32.const 2)))))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask)))
          (then (global.set $hash_out (local.get $hash)) (return (i32.add (local.get $at) (i32.const 1)))))
        ;; byte 1
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.wrap_i64 (i64.and (i64.shr_u (local.get $word) (i64.const 8)) (i64.const 255))) (i32.const 2)))))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask)))
          (then (global.set $hash_out (local.get $hash)) (return (i32.add (local.get $at) (i32.const 2)))))
        ;; byte 2
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.wrap_i64 (i64.and (i64.shr_u (local.get $word) (i64.const 16)) (i64.const 255))) (i32.const 2)))))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask)))
          (then (global.set $hash_out (local.get $hash)) (return (i32.add (local.get $at) (i32.const 3)))))
        ;; byte 3
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.wrap_i64 (i64.and (i64.shr_u (local.get $word) (i64.const 24)) (i64.const 255))) (i32.const 2)))))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask)))
          (then (global.set $hash_out (local.get $hash)) (return (i32.add (local.get $at) (i32.const 4)))))
        ;; byte 4
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.wrap_i64 (i64.and (i64.shr_u (local.get $word) (i64.const 32)) (i64.const 255))) (i32.const 2)))))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask)))
          (then (global.set $hash_out (local.get $hash)) (return (i32.add (local.get $at) (i32.const 5)))))
        ;; byte 5
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.wrap_i64 (i64.and (i64.shr_u (local.get $word) (i64.const 40)) (i64.const 255))) (i32.const 2)))))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask)))
          (then (global.set $hash_out (local.get $hash)) (return (i32.add (local.get $at) (i32.const 6)))))
        ;; byte 6
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.wrap_i64 (i64.and (i64.shr_u (local.get $word) (i64.const 48)) (i64.const 255))) (i32.const 2)))))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask)))
          (then (global.set $hash_out (local.get $hash)) (return (i32.add (local.get $at) (i32.const 7)))))
        ;; byte 7
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.wrap_i64 (i64.and (i64.shr_u (local.get $word) (i64.const 56)) (i64.const 255))) (i32.const 2)))))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask)))
          (then (global.set $hash_out (local.get $hash)) (return (i32.add (local.get $at) (i32.const 8)))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next)))
    (block $out
      (loop $one
        (br_if $out (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $hash (i32.add (i32.shl (local.get $hash) (i32.const 1))
          (i32.load (i32.shl (i32.load8_u (local.get $at)) (i32.const 2)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (if (i32.eqz (i32.and (local.get $hash) (local.get $mask)))
          (then (global.set $hash_out (local.get $hash)) (return (local.get $at))))
        (br $one)))
    (global.set $hash_out (local.get $hash))
    (i32.const -1)))
