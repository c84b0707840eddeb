package profile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"postern/authz/credential"
	"postern/authz/reason"
)

// defaultAnswer is the entry that serves every Reason without a nearer one.
const defaultAnswer = "default"

// families are the entries that serve several Reasons. Two bear the name of one
// of their members: that entry is the member's own, and the others' family.
var families = []string{"unauthenticated", "forbidden", "not_found", "unavailable"}

// family is the family of a Reason; empty: it has none.
func family(r reason.Reason) string {
	switch r {
	case reason.MissingCredential, reason.MalformedCredential, reason.InvalidCredential, reason.Revoked,
		reason.Disabled, reason.Expired, reason.WrongEnvironment:
		return "unauthenticated"
	case reason.NoOrganization, reason.OrganizationDisabled, reason.WrongOrganization, reason.ResourceForeign, reason.Forbidden:
		return "forbidden"
	case reason.ResourceNotFound:
		return "not_found"
	case reason.Unavailable, reason.Overloaded:
		return "unavailable"
	}
	return ""
}

// answers renders the denials of the profile, and of each route that has its own.
func (c *compiler) answers(routes []*Route) {
	before := len(*c.problems)
	c.checkAnswers("answers", c.doc.Answers)
	for i, doc := range c.doc.Routes {
		c.checkAnswers(fmt.Sprintf("routes[%d].answers", i), doc.Answers)
	}
	if len(*c.problems) > before || len(routes) < len(c.doc.Routes) {
		return // nothing will be served
	}
	bearer := c.hasBearer(routes)
	c.profile.answers = renderAnswers(bearer, drafts(c.doc.Answers))
	for i, doc := range c.doc.Routes {
		if len(doc.Answers) > 0 {
			routes[i].answers = renderAnswers(bearer, drafts(doc.Answers, c.doc.Answers))
		}
	}
}

func (c *compiler) hasBearer(routes []*Route) bool {
	return slices.ContainsFunc(append(slices.Clip(routes), c.profile.fallback), func(r *Route) bool {
		return slices.ContainsFunc(r.Credentials, func(s credential.Source) bool { return s.Place == credential.InBearer })
	})
}

// drafts finds what is written for a Reason. Each part of an answer comes from
// the nearest entry that has it: the Reason's own, its family's, the default; and
// a route's entries go before the profile's.
func drafts(tables ...answersDoc) func(reason.Reason) draft {
	return func(r reason.Reason) draft {
		var d draft
		for _, table := range tables {
			for _, name := range []string{r.String(), family(r), defaultAnswer} {
				d.fill(table[name])
			}
		}
		return d
	}
}

func (d *draft) fill(doc answerDoc) {
	if d.status == 0 {
		d.status = int(doc.Status)
	}
	if d.message == "" {
		d.message = doc.Message
	}
	if d.body == nil {
		d.body = doc.JSON
	}
	if d.headers == nil {
		for name, value := range doc.Headers {
			d.headers = append(d.headers, Header{name, value})
		}
		slices.SortFunc(d.headers, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	}
}

func (c *compiler) checkAnswers(path string, docs answersDoc) {
	for name, doc := range docs {
		c.checkAnswer(path+"."+name, name, doc)
	}
}

func (c *compiler) checkAnswer(path, name string, doc answerDoc) {
	r, isReason := reason.Parse(name)
	if isReason && r.Allows() {
		c.problem(path, "is no denial, and has no answer; remove it")
	}
	if !isReason && name != defaultAnswer && !slices.Contains(families, name) {
		c.problem(path, "is neither a Reason nor a family; families are %s, and default is for the rest", strings.Join(families, ", "))
	}
	c.checkStatus(path+".status", name, int(doc.Status))
	if doc.JSON != nil {
		if doc.JSON.kind != mapTree {
			c.problem(path+".json", "must be an object, for that is what clients parse; write key: value")
		}
		checkBody(doc.JSON, path+".json", c.problems)
	}
	for header, value := range doc.Headers {
		c.checkAnswerHeader(path+".headers."+header, header, value)
	}
	if len(doc.Message) > 200 || !all(doc.Message, isPrintable) || strings.Contains(doc.Message, "{{") {
		c.problem(path+".message", "must be at most 200 bytes of visible ASCII without a placeholder; other text belongs in json")
	}
}

func (c *compiler) checkStatus(path, name string, status int) {
	switch {
	case status == 0 && !c.written(path):
	case name == defaultAnswer:
		c.problem(path, "would hide what kind of denial it is; give a status to a Reason or a family")
	case !slices.Contains(statuses, status):
		c.problem(path, "%d is not a status for a denial; use one of %s", status, strings.Trim(fmt.Sprint(statuses), "[]"))
	case unknowing(name) && status != 429 && status < 500:
		c.problem(path, "%d would blame the client while nothing is known; use 429, 500 or 503", status)
	}
}

// unknowing reports a name of denials that say nothing about the client.
func unknowing(name string) bool {
	return slices.Contains([]string{reason.Internal.String(), reason.Unavailable.String(), reason.Overloaded.String()}, name)
}

func (c *compiler) checkAnswerHeader(path, name, value string) {
	c.check(path, checkAnswerName(name))
	c.check(path, checkTemplate(value))
	c.check(path, checkValue(value))
	if name == "retry-after" {
		if n, err := strconv.Atoi(value); err != nil || n < 0 || n > 60 {
			c.problem(path, "%q must be 0 to 60 seconds, for clients sleep it out", value)
		}
	}
}
