"""Renders parts of template.yaml as CloudFormation would, for given parameters.

What a deployment decides (the names of resources) is made up: `NAMES`. A function of CloudFormation that this
file does not know is an error, never a guess.
"""

import pathlib
import re

import yaml

TEMPLATE = pathlib.Path(__file__).resolve().parents[2] / "template.yaml"
ACCOUNT, REGION = "111122223333", "eu-west-1"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "ip-gate",
}
GROUP_ARN = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/ip-gate-Schedules-1"
TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:ip-gate-Alarms-1"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:ip-gate-ResetPolicyFunction-1"
ALARM_ARN = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:ip-gate-"
NAMES = {
    "StateBucket": "ip-gate-statebucket-1",
    "Alarms": TOPIC_ARN,
    "AddIpRole.Arn": f"arn:aws:iam::{ACCOUNT}:role/ip-gate-AddIpRole-1",
    "ResetPolicyRole.Arn": f"arn:aws:iam::{ACCOUNT}:role/ip-gate-ResetPolicyRole-1",
    "AddIpLogs.Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:ip-gate-AddIpLogs-1:*",
    "ResetPolicyLogs.Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:ip-gate-ResetPolicyLogs-1:*",
    "Schedules.Arn": GROUP_ARN,
    "ResetPolicyFunction.Arn": FUNCTION_ARN,
    "AddIpFunction": "ip-gate-AddIpFunction-1",
    "ResetPolicyFunction": "ip-gate-ResetPolicyFunction-1",
    "AddIpLogs": "ip-gate-AddIpLogs-1",
    "ResetPolicyLogs": "ip-gate-ResetPolicyLogs-1",
}
NO_VALUE = object()


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, read as their long forms."""


def long_form(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    construct = loader.construct_sequence if isinstance(node, yaml.SequenceNode) else loader.construct_mapping
    return {name: construct(node, deep=True)}


Loader.add_multi_constructor("!", long_form)


class Rendered:
    """The template with these parameters; the others have their defaults."""

    def __init__(self, **parameters):
        self.template = yaml.load(TEMPLATE.read_text(), Loader)
        self.parameters = {
            name: str(given.get("Default", "")) for name, given in self.template["Parameters"].items()
        }
        assert set(parameters) <= set(self.parameters), parameters
        for name, value in parameters.items():
            pattern = self.template["Parameters"][name].get("AllowedPattern")
            assert not pattern or re.fullmatch(pattern, value), f"`{value}` is no value of {name}"
        self.parameters.update(parameters)

    def properties(self, logical_id):
        return self.value(self.template["Resources"][logical_id]["Properties"])

    def role_policy(self, logical_id):
        (policy,) = self.properties(logical_id)["Policies"]
        return policy["PolicyDocument"]

    def bucket(self):
        return self.properties("StateBucketPolicy")["Bucket"]

    def value(self, given):
        if isinstance(given, list):
            return [value for value in map(self.value, given) if value is not NO_VALUE]
        if not isinstance(given, dict):
            return given
        if len(given) == 1:
            ((name, argument),) = given.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self.function(name, argument)
        values = {name: self.value(value) for name, value in given.items()}
        return {name: value for name, value in values.items() if value is not NO_VALUE}

    def function(self, name, argument):
        match name:
            case "Ref":
                return self.reference(argument)
            case "Fn::GetAtt":
                return self.attribute(".".join(argument))
            case "Fn::Sub":
                return self.substitute(argument)
            case "Fn::Split":
                separator, text = self.value(argument)
                return text.split(separator)
            case "Fn::Select":
                index, values = self.value(argument)
                return values[int(index)]
            case "Fn::Join":
                separator, values = self.value(argument)
                return separator.join(values)
            case "Fn::If":
                condition, yes, no = argument
                return self.value(yes if self.holds(self.template["Conditions"][condition]) else no)
        raise NotImplementedError(name)

    def holds(self, condition):
        ((name, argument),) = condition.items()
        match name:
            case "Fn::Equals":
                left, right = self.value(argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self.holds(argument[0])
            case "Fn::Or":
                return any(self.holds(each) for each in argument)
            case "Fn::And":
                return all(self.holds(each) for each in argument)
            case "Condition":
                return self.holds(self.template["Conditions"][argument])
        raise NotImplementedError(name)

    def reference(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        return next(known[name] for known in (self.parameters, PSEUDO, NAMES) if name in known)

    def attribute(self, name):
        logical_id = name.split(".")[0]
        if self.template["Resources"][logical_id]["Type"] == "AWS::CloudWatch::Alarm":
            return f"{ALARM_ARN}{logical_id}-1"
        return NAMES[name]

    def substitute(self, argument):
        text, variables = (argument, {}) if isinstance(argument, str) else argument
        variables = {name: self.value(value) for name, value in variables.items()}

        def known(found):
            name = found[1]
            if name in variables:
                return variables[name]
            return self.attribute(name) if "." in name else self.reference(name)

        return re.sub(r"\$\{([^!}]+)\}", known, text)
