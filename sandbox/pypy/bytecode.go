//go:build linux && (amd64 || arm64)

package pypy

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// The interpreter compiles every module that a script imports, each time: what it would write beside the module is a
// session's own. So the byte code of common modules is made once, by a run of its own that sees the library and nothing of
// any session, and becomes a part of the library. The interpreter itself checks that it belongs to the module's file.

//go:embed bytecode.py
var bytecodeScript string

// Bounds of what a compiling run may take and say.
const (
	bytecodeTime   = time.Minute
	bytecodeMemory = 512 << 20 // bytes
	maxBytecode    = 32 << 20  // bytes of all modules
	maxModules     = 2000
)

// compile makes the byte code of the library's common modules, once, while sessions go on. Without it they work as well.
func (e *Engine) compile(p *program) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.program != p || p.compiled != nil {
		return
	}
	if _, err := p.library.Lstat("/lib-python/3/os.py"); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stopCompiling, p.compiled = cancel, make(chan struct{})
	go func() {
		defer close(p.compiled)
		defer cancel()
		if err := e.addBytecode(ctx, p); err != nil && ctx.Err() == nil {
			e.options.Log.Warn("the library's modules were not compiled; each session does so itself", "error", err)
		}
	}()
}

func (e *Engine) addBytecode(ctx context.Context, p *program) error {
	view, err := vfs.NewSession(vfs.Config{Base: &vfs.Static{}, Scratch: []string{"/tmp"}, Now: e.options.Now})
	if err != nil {
		return err
	}
	defer func() { _ = view.Close() }()
	var out, errs tail
	out.most = maxBytecode
	result, err := e.runIn(ctx, p, sandbox.Job{
		Session: "compile", Args: []string{"-c", bytecodeScript}, Dir: "/", FS: view, Stdout: &out, Stderr: &errs, Commands: noCommands{},
		Limits: sandbox.Limits{Wall: bytecodeTime, CPU: bytecodeTime, Memory: bytecodeMemory},
	})
	switch {
	case err != nil:
		return err
	case result.Cause != sandbox.Exited || result.ExitCode != 0:
		return fmt.Errorf("the interpreter ended with status %d: %s%s", result.ExitCode, result.Detail, errs.String())
	}
	files, err := readBytecode([]byte(out.String()))
	if err != nil {
		return err
	}
	p.library.add(files)
	return nil
}

// readBytecode reads what a compiling run says: names of files below Prefix, and what is in them.
func readBytecode(text []byte) (map[string][]byte, error) {
	next := func() ([]byte, error) {
		if len(text) < 4 || uint64(binary.LittleEndian.Uint32(text)) > uint64(len(text)-4) {
			return nil, errors.New("byte code that is cut off")
		}
		size := int(binary.LittleEndian.Uint32(text))
		item := text[4 : 4+size]
		text = text[4+size:]
		return item, nil
	}
	files := map[string][]byte{}
	for len(text) > 0 {
		name, err := next()
		if err != nil {
			return nil, err
		}
		code, err := next()
		if err != nil {
			return nil, err
		}
		inside, ok := strings.CutPrefix(string(name), Prefix)
		if !ok || !path.IsAbs(inside) || inside != path.Clean(inside) || path.Base(path.Dir(inside)) != "__pycache__" || path.Ext(inside) != ".pyc" {
			return nil, fmt.Errorf("byte code of %q, which is not the library's", name)
		}
		if len(files) == maxModules {
			return nil, errors.New("byte code of too many modules")
		}
		files[inside] = bytes.Clone(code)
	}
	return files, nil
}

// noCommands is a gate that nothing passes.
type noCommands struct{}

// Start refuses.
func (noCommands) Start(context.Context, sandbox.Command) (sandbox.Process, error) {
	return nil, &sandbox.Refusal{Errno: syscall.EPERM, Reason: "nothing is started to compile the library"}
}
