"""A queue that listens to the topic of the alarms."""

import json

from world import TAG


class Mailbox:
    """A queue that is subscribed to the topic of the alarms."""

    def __init__(self, world):
        self.world, self.sqs, self.found = world, world.client("sqs"), []
        world.made("queue", f"{world.prefix}-mailbox")
        self.url = self.sqs.create_queue(QueueName=f"{world.prefix}-mailbox", tags={TAG: world.prefix})[
            "QueueUrl"
        ]
        named = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        arn, topic = named["Attributes"]["QueueArn"], world.outputs["AlarmTopic"]
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})
        world.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def look(self):
        """-> every message so far, as text"""
        got = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        for message in got.get("Messages", []):
            self.found.append(json.loads(message["Body"]).get("Message", ""))
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.found
