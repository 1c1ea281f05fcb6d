package load

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseSchedule reads a schedule, rates in requests per second:
//
//	500                       Constant
//	ramp:100:1000:30s         Ramp from, to, within
//	sine:500:200:60s          Sine of mean, amplitude, period
//	steps:100x10s,500x20s     Steps
func ParseSchedule(text string) (Schedule, error) {
	kind, args, isKind := strings.Cut(text, ":")
	if !isKind {
		rate, err := parseRate(text)
		return Constant(rate), err
	}
	if kind == "steps" {
		return parseSteps(args)
	}
	parts := strings.Split(args, ":")
	if kind != "ramp" && kind != "sine" || len(parts) != 3 {
		return nil, fmt.Errorf("%q is not a schedule: want RATE, ramp:FROM:TO:WITHIN, sine:MEAN:AMPLITUDE:PERIOD or steps:RATExTIME,RATExTIME", text)
	}
	first, err := parseRate(parts[0])
	if err != nil {
		return nil, err
	}
	second, err := parseRate(parts[1])
	if err != nil {
		return nil, err
	}
	span, err := parseSpan(parts[2])
	if err != nil {
		return nil, err
	}
	if kind == "sine" {
		return Sine(first, second, span), nil
	}
	return Ramp(first, second, span), nil
}

func parseSteps(text string) (Schedule, error) {
	var steps []Step
	for part := range strings.SplitSeq(text, ",") {
		rateText, spanText, ok := strings.Cut(part, "x")
		if !ok {
			return nil, fmt.Errorf("step %q is not RATExTIME", part)
		}
		rate, err := parseRate(rateText)
		if err != nil {
			return nil, err
		}
		span, err := parseSpan(spanText)
		if err != nil {
			return nil, err
		}
		steps = append(steps, Step{rate, span})
	}
	return Steps(steps...), nil
}

func parseRate(text string) (float64, error) {
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || rate < 0 || math.IsInf(rate, 0) || math.IsNaN(rate) {
		return 0, fmt.Errorf("rate %q is not a number of requests per second", text)
	}
	return rate, nil
}

func parseSpan(text string) (time.Duration, error) {
	span, err := time.ParseDuration(text)
	if err != nil || span <= 0 {
		return 0, fmt.Errorf("time %q is not a duration above zero, such as 30s", text)
	}
	return span, nil
}

// ParseMix reads the weights of operations: "read=70,update=20,create=5". Others have no weight.
func ParseMix(text string) (Mix, error) {
	var m Mix
	fields := map[string]*float64{"create": &m.Create, "read": &m.Read, "update": &m.Update, "patch": &m.Patch,
		"delete": &m.Delete, "rotate": &m.Rotate, "list": &m.List}
	for part := range strings.SplitSeq(text, ",") {
		name, weight, _ := strings.Cut(part, "=")
		field := fields[name]
		if field == nil {
			return Mix{}, fmt.Errorf("%q is not an operation: want create, read, update, patch, delete, rotate or list", name)
		}
		var err error
		if *field, err = parseRate(weight); err != nil {
			return Mix{}, fmt.Errorf("the weight of %s is %q: want a number", name, weight)
		}
	}
	return m, nil
}
