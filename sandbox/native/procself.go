//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"fmt"
	"path/filepath"
	"shannot-gateway/sandbox/internal/supervisor"
	"slices"
	"strconv"
	"strings"
)

// What the kernel says of an interpreter names the host here and there: where its libraries really are, who its parent
// is, which user it runs as. The script is shown what is true in its view.

// processName is what the interpreter is called, as if it had been started by that name.
const processName = "python3"

// execNames are what the kernel calls it: by the number of the descriptor that was executed, and from Linux 6.14 on by the
// name of its file. See begin_new_exec in fs/exec.c.
var execNames = []string{strconv.Itoa(supervisor.LoaderFD), closedLoader, kernelName(filepath.Base(loaderName))}

// kernelName is a name as far as the kernel keeps it, see TASK_COMM_LEN in linux/sched.h.
func kernelName(name string) string { return name[:min(len(name), 15)] }

// threadName is what a thread is called. One that was given no name has its process's.
func threadName(kernel string) string {
	if slices.Contains(execNames, kernel) {
		return processName
	}
	return kernel
}

// ownStatus is the status of the interpreter or of a thread, see proc_pid_status(5).
func (r *run) ownStatus(text []byte) []byte {
	var out bytes.Buffer
	four := func(id uint32) string { return strings.Repeat(fmt.Sprintf("\t%d", id), 4) }
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		switch string(key) {
		case "Name":
			fmt.Fprintf(&out, "Name:\t%s\n", threadName(string(bytes.TrimSpace(value))))
		case "PPid":
			fmt.Fprintf(&out, "PPid:\t%d\n", max(r.parent, 1))
		case "Uid":
			fmt.Fprintf(&out, "Uid:%s\n", four(r.job.Host.UID))
		case "Gid":
			fmt.Fprintf(&out, "Gid:%s\n", four(r.job.Host.GID))
		case "Groups":
			out.WriteString("Groups:\t \n")
		default:
			out.Write(line)
		}
	}
	return out.Bytes()
}

// ownStat is stat of the interpreter or of a thread, see proc_pid_stat(5): field 2 is the name in parentheses, field 4 the
// parent.
func (r *run) ownStat(text []byte) []byte {
	begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if begin < 0 || end < begin {
		return nil
	}
	fields := strings.Fields(string(text[end+1:]))
	if len(fields) < 2 {
		return nil
	}
	fields[1] = strconv.Itoa(max(r.parent, 1))
	return fmt.Appendf(nil, "%s(%s) %s\n", text[:begin], threadName(string(text[begin+1:end])), strings.Join(fields, " "))
}

// asRunning tells of a thread that it runs, as one that reads its own stat or status does. Here it waits for the answer.
func asRunning(base string, text []byte) []byte {
	switch end := bytes.LastIndex(text, []byte(") S ")); {
	case base == "status":
		return bytes.Replace(text, []byte("State:\tS (sleeping)"), []byte("State:\tR (running)"), 1)
	case base == "stat" && end >= 0:
		text[end+2] = 'R'
	}
	return text
}

// ownMaps is maps of the interpreter, see proc_pid_maps(5). Of a file it gives the name that the interpreter's own files have in
// the view, and for any other none, with neither device nor inode.
func (r *run) ownMaps(text []byte) []byte {
	const pathAt = 73 // the column where the kernel puts a path
	out := make([]byte, 0, len(text))
	for line := range bytes.Lines(text) {
		// Address, permissions, offset, device, inode, and the rest of the line is the path.
		fields := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte(" "), 6)
		if len(fields) < 5 {
			continue
		}
		name := ""
		if len(fields) == 6 {
			name = r.mappedName(string(bytes.TrimLeft(fields[5], " ")))
		}
		begin := len(out)
		for _, f := range fields[:3] {
			out = append(append(out, f...), ' ')
		}
		out = append(out, "00:00 0 "...)
		if name != "" {
			for len(out)-begin < pathAt {
				out = append(out, ' ')
			}
			out = append(out, name...)
		}
		out = append(out, '\n')
	}
	return out
}

// mappedName is a mapping's name as the script may know it.
func (r *run) mappedName(name string) string {
	if strings.HasPrefix(name, "[") {
		return name // [heap], [stack], [vdso], [anon:…] by the script's own word
	}
	in := r.tree.engine.installed()
	if in == nil {
		return ""
	}
	rel, ok := strings.CutPrefix(name, in.root+"/")
	switch {
	case !ok:
		return ""
	case rel == closedLoader:
		return Prefix + "/lib/" + filepath.Base(loaderName)
	}
	return Prefix + "/" + rel
}
