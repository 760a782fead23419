package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Addresses of resources. Those of sandbox: are what the project that this one continues calls them.
const (
	targetsURI  = "shannot://targets"
	policyURI   = "shannot://policy/"
	sessionsURI = "shannot://sessions/"
	statusURI   = "sandbox://status"
	remotesURI  = "sandbox://remotes"
	profilesURI = "sandbox://profiles"
)

const jsonType = "application/json"

// addResources adds what a client can read without a tool.
func (s *server) addResources(to *sdk.Server) {
	for _, r := range []struct{ uri, name, about, line string }{
		{targetsURI, "targets", "the hosts that you may use", "targets --json"},
		{remotesURI, "remotes", "the same as " + targetsURI, "targets --json"},
		{statusURI, "status", "whether the gateway can do its work", "status --json"},
	} {
		to.AddResource(&sdk.Resource{URI: r.uri, Name: r.name, Description: r.about, MIMEType: jsonType},
			func(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
				return s.resource(ctx, req.Params.URI, r.line)
			})
	}
	to.AddResource(&sdk.Resource{URI: profilesURI, Name: "profiles", Description: policyURI + "{target} of each target that you may use", MIMEType: jsonType}, s.profiles)
	to.AddResourceTemplate(&sdk.ResourceTemplate{
		URITemplate: policyURI + "{target}", Name: "policy", Description: "what runs at once on a target, what never does, and which files are shown", MIMEType: jsonType,
	},
		func(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
			target, err := url.PathUnescape(strings.TrimPrefix(req.Params.URI, policyURI))
			if err != nil || target == "" {
				return nil, sdk.ResourceNotFoundError(req.Params.URI)
			}
			return s.resource(ctx, req.Params.URI, rulesLine(target))
		})
	to.AddResourceTemplate(&sdk.ResourceTemplate{URITemplate: sessionsURI + "{id}", Name: "session", Description: "a session of yours, without its output", MIMEType: jsonType},
		func(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
			id := sessionOf(req.Params.URI)
			if id == "" {
				return nil, sdk.ResourceNotFoundError(req.Params.URI)
			}
			return s.resource(ctx, req.Params.URI, lineOf("show").option("json").word(id).String())
		})
}

// rulesLine asks for the rules for a target.
func rulesLine(target string) string {
	return lineOf("policy").option("json").flag("target", target).String()
}

// profiles are the rules for each target of the client.
func (s *server) profiles(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	var who struct{ Targets []string }
	a := s.run(ctx, nobody{}, "whoami --json", strings.NewReader(""), patience(nil, defaultWait))
	if err := json.Unmarshal(a.stdout, &who); err != nil {
		return nil, errors.New(strings.Join(a.notices, "; "))
	}
	all := []json.RawMessage{}
	size := 0
	for _, target := range who.Targets {
		a := s.run(ctx, nobody{}, rulesLine(target), strings.NewReader(""), patience(nil, defaultWait))
		if size += len(a.stdout); json.Valid(a.stdout) && size <= maxResource {
			all = append(all, a.stdout)
		}
	}
	if len(all) < len(who.Targets) {
		return nil, fmt.Errorf("not all of it can be told at once: read %s{target} of each target", policyURI)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("put the answer together: %w", err)
	}
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: req.Params.URI, MIMEType: jsonType, Text: string(text)}}}, nil
}

// maxResource is how long a resource is at most, in bytes: what is longer has a tool that tells parts of it.
const maxResource = 256 << 10

// resource is what a line of a verb answers in JSON.
func (s *server) resource(ctx context.Context, uri, l string) (*sdk.ReadResourceResult, error) {
	a := s.run(ctx, nobody{}, l, strings.NewReader(""), patience(nil, defaultWait))
	switch {
	case !json.Valid(a.stdout) && (strings.HasPrefix(uri, sessionsURI) || strings.HasPrefix(uri, policyURI)):
		return nil, sdk.ResourceNotFoundError(uri)
	case !json.Valid(a.stdout):
		return nil, errors.New(strings.Join(a.notices, "; "))
	case len(a.stdout) > maxResource:
		return nil, fmt.Errorf("it has %d bytes, more than %d: use session_result", len(a.stdout), maxResource)
	}
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: uri, MIMEType: jsonType, Text: string(a.stdout)}}}, nil
}

// addPrompts adds what a user can begin with.
func addPrompts(to *sdk.Server) {
	target := &sdk.PromptArgument{Name: "target", Description: "a host, see " + targetsURI, Required: true}
	add := func(name, about, text string, second *sdk.PromptArgument) {
		to.AddPrompt(&sdk.Prompt{Name: name, Description: about, Arguments: []*sdk.PromptArgument{target, second}},
			func(_ context.Context, req *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
				given := req.Params.Arguments
				if given[target.Name] == "" || given[second.Name] == "" {
					return nil, fmt.Errorf("the prompt needs %s and %s", target.Name, second.Name)
				}
				said := fmt.Sprintf("Target: %s\n%s: %s\n\n%s", given[target.Name], second.Name, given[second.Name], text)
				return &sdk.GetPromptResult{Description: about, Messages: []*sdk.PromptMessage{{Role: "user", Content: &sdk.TextContent{Text: said}}}}, nil
			})
	}
	add("diagnose-host", "find out what is wrong with a host, and change nothing",
		"Find the cause with what runs at once: shell (df -h, free -m, ps aux, ss -ltn, journalctl -n 200, systemctl --failed), read_file and "+
			"list_directory. Change nothing. If a call answers pending_approval, cancel it with cancel_session and look another way. "+
			"Then say what you found, with the evidence, and what you would change.",
		&sdk.PromptArgument{Name: "symptom", Description: "what is observed", Required: true})
	add("prepare-change", "prepare a change for an approver",
		"Look at how it is now. Ask explain_policy what each command would need. Propose the change as one sandbox_run with plan, show the "+
			"result, and after your user agrees run it without plan, with a name and an analysis that tell an approver why. Where it answers "+
			"pending_approval, tell your user and come back with session_result. Afterwards check that it worked.",
		&sdk.PromptArgument{Name: "change", Description: "what is to be so afterwards", Required: true})
}
